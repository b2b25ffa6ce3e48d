"""Stores, codes, scores, features, checkpoints and interpretations: what modalens or clip-retrieval wrote."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.dominance import Dominance, ModalityGap, modality_dominance, modality_gap
from modalens.features import SAEConfig, TrainConfig, load_features, train
from modalens.features.card import read_log
from modalens.features.trainer import models_along_training
from modalens.interpret import Bridges, Monosemanticity, bridges, monosemanticity
from modalens.runs import encode_store
from modalens.runs.interpretation import read_arrays
from modalens.store import CodeStore, EmbeddingStore, ShardContent, StoreWriter
from modalens.store.kept import Kept
from modalens.store.manifest import Manifest
from modalens.store.npy import load_stacked
from tests.fuzz.target import Target

_PAIRS, _WIDTH = 12, 6


def _sides() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    shared = random.standard_normal((_PAIRS, _WIDTH))
    image, text = ((shared + random.standard_normal(shared.shape) / 3).astype(np.float32) for _ in range(2))
    return image, text


def _digest(*values: Any) -> str:
    found = hashlib.sha256()
    for value in values:
        found.update(
            value.tobytes()
            if isinstance(value, np.ndarray) and value.dtype != object
            else repr(value).encode()
        )
    return found.hexdigest()


def _foreign(folder: Path) -> None:
    """A store of clip-retrieval, two shards."""
    for side, rows in zip(("img_emb", "text_emb"), _sides(), strict=True):
        (folder / side).mkdir()
        for number, part in enumerate(np.split(rows.astype(np.float16), 2)):
            np.save(folder / side / f"{side}_{number}.npy", part)
    (folder / "metadata").mkdir()
    for number in range(2):
        columns = {
            "image_path": ["a", None, "b", "", "c", "a"],
            "split": [0, 1, None, 1, 0, 1],
            "caption": ["x"] * 6,
        }
        pq.write_table(pa.table(columns), folder / "metadata" / f"metadata_{number}.parquet")


def _own(folder: Path) -> None:
    """A store of modalens, two shards."""
    image, text = _sides()
    plan = Manifest("0", {"model": "fake"}, {"source": "none"}, {}, _WIDTH)
    with StoreWriter(folder, plan) as writer:
        for number, rows in enumerate(np.split(np.arange(_PAIRS), 2)):
            about = [
                {"id": str(row), "caption": f"c{row}", "image_path": f"{row}.png", "split": row % 2}
                for row in rows
            ]
            content = ShardContent({"img_emb": image[rows], "text_emb": text[rows]}, about, [])
            writer.write_shard(number, [str(row) for row in rows], content)
        writer.finish(2)


def _read_store(kind: Any) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        store = kind.open(folder)
        sides = [side[:] for side in (store.image, store.text)]
        sides += [side[np.array([len(store) - 1, 0])] for side in (store.image, store.text)]
        found = modality_dominance(store, resamples=4)
        splits = {name: rows.tolist() for name, rows in store.rows_by_split().items()}
        plain = [side.toarray() if hasattr(side, "toarray") else side for side in sides]
        return _digest(*plain, list(store.ids), splits, store.groups, found.score, found.low)

    return read


@cache
def _learned() -> Path:
    """A small training run with its record, made once."""
    folder = Path(mkdtemp(prefix="modalens-fuzz-"))
    training = TrainConfig(steps=4, batch_size=4, log_every=2, checkpoint_every=2)
    train([SAEConfig(_WIDTH, 8, 2)], _sides(), training, out=folder)
    return folder


def _features(folder: Path) -> None:
    for name in ("config.json", "sae.safetensors"):
        shutil.copy(_learned() / name, folder / name)


def _recorded_features(folder: Path) -> None:
    _features(folder)
    Kept(folder, "the features", {}, "modalens train sae").finish()


def _checkpoints(folder: Path) -> None:
    for path in _learned().glob("checkpoint-*"):
        shutil.copy(path, folder / path.name)


def _log(folder: Path) -> None:
    shutil.copy(_learned() / "log.jsonl", folder / "log.jsonl")


def _codes(folder: Path) -> None:
    _own(folder / "embeddings")
    encode_store(
        load_features(_learned()),
        EmbeddingStore.open(folder / "embeddings"),
        folder / "codes",
        rows_per_shard=5,
    )


def _read_features(folder: Path) -> Any:
    model = load_features(folder)
    return _digest(model.encode(_sides()[0], "image").toarray())


def _read_checkpoints(folder: Path) -> Any:
    found = [
        (step, model.encode(_sides()[0], "image").toarray()) for step, model in models_along_training(folder)
    ]
    return _digest(*(part for each in found for part in each))


def _read_codes(folder: Path) -> Any:
    return _read_store(CodeStore)(folder / "codes")


def _scored() -> Dominance:
    return modality_dominance(*_sides(), resamples=4)


def _results(folder: Path) -> None:
    """Every table of numbers that a run keeps, with a record of its checksums."""
    image, text = _sides()
    mds = _scored()
    mds.save(folder / "d.json")
    mds.save(folder / "d.parquet")
    modality_gap(image, text, resamples=4).save(folder / "gap.json")
    monosemanticity(image, text, 3, draws=1).save(folder / "mono.parquet")
    bridges(image, text, None, mds, shuffles=100).save(folder / "bridges.parquet")
    np.savez_compressed(folder / "arrays.npz", near=np.arange(6).reshape(3, 2), cosine=np.ones((3, 2)))


_READ = {
    "d.json": Dominance.load,
    "d.parquet": Dominance.load,
    "gap.json": ModalityGap.load,
    "mono.parquet": Monosemanticity.load,
    "bridges.parquet": Bridges.load,
    "arrays.npz": read_arrays,
}


def _read_result(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        found = _READ[name](folder / name)
        with contextlib.suppress(TypeError):
            repr(found)
        return name

    return read


def _record(folder: Path) -> None:
    _results(folder)
    _kept(folder).finish()


def _kept(folder: Path) -> Kept:
    return Kept(folder, "the scores", {"of": "nothing"}, "modalens score")


def _read_record(folder: Path) -> Any:
    """A result with a record is whole, or is not taken."""
    _kept(folder).require()
    return _digest(Dominance.load(folder / "d.parquet").score)


def _stacked(folder: Path) -> None:
    np.save(folder / "s.npy", np.stack(_sides()))


def _read_stacked(folder: Path) -> Any:
    found = modality_dominance(*load_stacked(folder / "s.npy"), resamples=0)
    return json.dumps(found.counts())


TARGETS = {
    "a foreign store": Target(_foreign, _read_store(EmbeddingStore)),
    "a store": Target(_own, _read_store(EmbeddingStore), "*/*", checked=True),
    "the manifest of a store": Target(_own, _read_store(EmbeddingStore), "manifest.json"),
    "codes": Target(_codes, _read_codes, "codes/*/*", checked=True),
    "the manifest of codes": Target(_codes, _read_codes, "codes/manifest.json"),
    "weights": Target(_features, _read_features, "*.safetensors", checked=True),
    "the configuration of features": Target(_features, _read_features, "config.json"),
    "features with a record": Target(_recorded_features, _read_features, "[cs]*", checked=True),
    "checkpoints": Target(_checkpoints, _read_checkpoints, checked=True),
    "a training log": Target(_log, lambda folder: read_log(folder)),
    "a result with its record": Target(_record, _read_record, checked=True),
    "stacked matrices": Target(_stacked, _read_stacked),
    **{f"a result in {name}": Target(_results, _read_result(name), name) for name in _READ},
}
