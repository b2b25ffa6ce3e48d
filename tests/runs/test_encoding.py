import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

import modalens as ml
from modalens.engine.workers import LocalEngine
from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig, train
from modalens.hashing import sha256_of
from modalens.runs import ScoreConfig, embed, encode_store, score, score_store
from modalens.store import CodeStore, EmbeddingStore, ShardContent, StoreWriter
from modalens.store.codes import csr_arrays
from modalens.store.manifest import CODES_KIND, Manifest
from tests.fakes import FakePairs, FakeVLM, colour_pairs

SMALL = {"rows_per_shard": 16}


@pytest.fixture
def store(tmp_path):
    return embed(
        FakePairs(colour_pairs(25, captions=2)), FakeVLM(), tmp_path / "embeddings", rows_per_shard=9
    )


@pytest.fixture
def sae(store):
    training = TrainConfig(steps=20, batch_size=16, log_every=20)
    return train([SAEConfig(6, 24, 3)], store, training)[0].model


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_codes_come_back_as_they_were(store, sae, tmp_path):
    codes = encode_store(sae, store, tmp_path / "codes", **SMALL)
    for side in ("image", "text"):
        column = getattr(codes, side)
        whole = column[:].toarray()
        assert column.shape == (50, 24)
        np.testing.assert_allclose(whole, sae.encode(getattr(store, side), side).toarray(), atol=1e-5)
        mask = np.arange(50) % 7 == 0
        for rows in (
            slice(3, 40),
            slice(15, 17),
            slice(16, 16),
            slice(None, None, -3),
            mask,
            [49, 0, 17, 17, -2],
        ):
            found = column[rows]
            assert sp.issparse(found)
            assert np.array_equal(found.toarray(), whole[rows])
        assert np.array_equal(column.pick(np.array([30, 2, 18]))[1:].toarray(), whole[[2, 18]])
        with pytest.raises(IndexError):
            column[[50]]
    assert list(codes.ids) == list(store.ids)
    assert list(codes.metadata["caption"]) == list(store.metadata["caption"])
    assert codes.manifest.model["weights_sha256"] == sae.card()["weights_sha256"]
    assert len(CodeStore.open(tmp_path / "codes")) == 50


def test_workers_make_the_same_files_and_go_on_after_a_stop(store, sae, tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    encode_store(sae, store, alone, **SMALL)
    with LocalEngine(2) as engine:
        encode_store(sae, store, shared, **SMALL, engine=engine)
        assert contents(shared) == contents(alone)
        damaged = next((shared / "text_values").iterdir())
        damaged.unlink()
        encode_store(sae, store, shared, **SMALL, engine=engine)
    assert contents(shared) == contents(alone)
    assert {path.name for path in tmp_path.iterdir()} == {"embeddings", "alone", "shared"}


def test_scores_of_codes_need_no_dense_matrix(store, sae, tmp_path):
    codes = encode_store(sae, store, tmp_path / "codes", **SMALL)
    config = ScoreConfig(resamples=20)
    stored = score_store(codes, config)
    plain = score(
        sae.encode(store.image).toarray(),
        sae.encode(store.text).toarray(),
        config,
        groups=store.metadata["image_path"],
        image_ids=store.metadata["image_path"],
    )
    for name in ("mean_ratio", "energy_ratio", "signed_ratio"):
        np.testing.assert_allclose(stored.dominance[name].score, plain.dominance[name].score, atol=1e-12)
        assert list(stored.dominance[name].labels) == list(plain.dominance[name].labels)
    assert stored.retrieval == plain.retrieval


def test_a_stopped_encoding_resumes_to_the_same_bytes(store, sae, tmp_path):
    encode_store(sae, store, tmp_path / "whole", **SMALL)

    class Dying:
        config, card, calls = sae.config, sae.card, 0

        def encode(self, x, modality=None):
            self.calls += 1
            if self.calls == 6:
                raise KeyboardInterrupt
            return sae.encode(x, modality)

    with pytest.raises(KeyboardInterrupt):
        encode_store(Dying(), store, tmp_path / "broken", **SMALL)
    with pytest.raises(ModalensError, match="unfinished"):
        CodeStore.open(tmp_path / "broken")
    encode_store(sae, store, tmp_path / "broken", **SMALL)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_damage_and_other_stores_are_noticed(store, sae, tmp_path):
    codes = tmp_path / "codes"
    encode_store(sae, store, codes, **SMALL)
    with pytest.raises(ModalensError, match="not the manifest of a code store"):
        CodeStore.open(store.folder)
    with pytest.raises(ModalensError, match="not the manifest of an embedding store"):
        ml.EmbeddingStore.open(codes)
    other = train([SAEConfig(6, 24, 3, seed=1)], store, TrainConfig(steps=1, batch_size=16))[0].model
    with pytest.raises(ModalensError, match="holds another run"):
        encode_store(other, store, codes, **SMALL)
    with pytest.raises(ModalensError, match="rows_per_shard is 0"):
        encode_store(sae, store, tmp_path / "none", rows_per_shard=0)
    path = codes / "text_values" / "text_values_0001.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModalensError, match=r"text_values_0001\.npy is damaged"):
        CodeStore.open(codes).text[:]
    path.write_bytes(whole[:-40])
    with pytest.raises(ModalensError, match=r"text_values_0001\.npy"):
        CodeStore.open(codes)


def test_memory_and_disk_follow_k_and_not_the_number_of_features(tmp_path):
    """Half a million features in 4,000 pairs: dense, one side alone would be 8 GB."""
    f, n, k = 500_000, 4000, 8
    rng = np.random.default_rng(0)
    plan = Manifest("test", {}, {}, {}, f, CODES_KIND)
    with StoreWriter(tmp_path, plan) as writer:
        for index in range(4):
            arrays: dict[str, Any] = {}
            for side in ("image", "text"):
                shape = (rng.random(1000 * k), rng.integers(0, f, 1000 * k), np.arange(0, 1000 * k + 1, k))
                arrays |= csr_arrays(side, sp.csr_array(shape, shape=(1000, f)))
            ids = [f"{index}-{row}" for row in range(1000)]
            writer.write_shard(index, ids, ShardContent(arrays, [{"id": name} for name in ids], []))
        writer.finish(4)
    codes = CodeStore.open(tmp_path)
    assert codes.image.shape == (n, f)
    assert sum(p.stat().st_size for p in tmp_path.rglob("*.npy")) < 2 * n * (8 * k + 8) * 1.2
    tracemalloc.start()
    mds = ml.modality_dominance(codes.image, codes.text, resamples=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert int(mds.pairs.sum()) <= 2 * n * k
    assert mds.counts()["dead"] > f * 0.8


def resealed(folder: Path, name: str, array: np.ndarray) -> None:
    """Put another array in the place of one file of a store, with the checksum that makes it look whole."""
    path = folder / name
    before = sha256_of(path)
    np.save(path, array)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(before, sha256_of(path)))


@pytest.mark.parametrize("number", [24, -1, 2**30])
def test_features_out_of_range_never_reach_compiled_code(store, sae, tmp_path, number):
    encode_store(sae, store, tmp_path / "codes", **SMALL)
    name = "image_features/image_features_0001.npy"
    features = np.load(tmp_path / "codes" / name)
    features[3] = number
    resealed(tmp_path / "codes", name, features)
    codes = CodeStore.open(tmp_path / "codes")
    for rows in (slice(16, 20), [17]):
        with pytest.raises(ModalensError, match="features outside 0 to 23"):
            _ = codes.image[rows]


def test_rows_out_of_order_never_reach_compiled_code(store, sae, tmp_path):
    encode_store(sae, store, tmp_path / "codes", **SMALL)
    name = "text_offsets/text_offsets_0000.npy"
    offsets = np.load(tmp_path / "codes" / name)
    offsets[2] = 10**9
    resealed(tmp_path / "codes", name, offsets)
    with pytest.raises(ModalensError, match="rows out of order"):
        _ = CodeStore.open(tmp_path / "codes").text[:]


def test_one_flipped_bit_of_metadata_is_noticed(store):
    path = store.folder / "metadata" / "metadata_0001.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 1
    path.write_bytes(raw)
    for read in (
        lambda opened: opened.ids,
        lambda opened: opened.metadata,
        lambda opened: opened.groups,
        lambda opened: score_store(opened, ScoreConfig(resamples=0)),
    ):
        with pytest.raises(ModalensError, match=r"metadata_0001.parquet is damaged"):
            read(EmbeddingStore.open(store.folder))


def test_codes_keep_metadata_of_every_type(tmp_path, sae):
    folder = tmp_path / "foreign"
    rows = np.random.default_rng(0).standard_normal((7, 6)).astype(np.float32)
    columns = {"split": [0, 1, None, 1, 0, 1, 2**62 + 1], "caption": ["a", None, "", "b", "c", "d", "e"]}
    for number, cut in enumerate((slice(0, 3), slice(3, 7))):
        for side in ("img_emb", "text_emb"):
            (folder / side).mkdir(parents=True, exist_ok=True)
            np.save(folder / side / f"{side}_{number}.npy", rows[cut])
        (folder / "metadata").mkdir(exist_ok=True)
        table = pa.table({name: values[cut] for name, values in columns.items()})
        pq.write_table(table, folder / "metadata" / f"metadata_{number}.parquet")
    codes = encode_store(sae, EmbeddingStore.open(folder), tmp_path / "codes", rows_per_shard=2)
    assert codes.labels("split").tolist() == ["0", "1", None, "1", "0", "1", str(2**62 + 1)]
    assert codes.labels("caption").tolist() == ["a", None, None, "b", "c", "d", "e"]
    assert codes.ids.tolist() == [str(row) for row in range(7)]
