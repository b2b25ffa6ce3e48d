"""Interpretations: kept, made again when anything changes, the same after saving and loading."""

import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.errors import ModalensError
from modalens.features import SAEConfig
from modalens.interpret import Bridges
from modalens.pairs import load_pairs
from modalens.runs import ScoreConfig, embed, interpreting, score_store
from modalens.runs.interpretation import SIDES, Interpretation, InterpretConfig
from modalens.runs.interpreting import (
    collect_samples,
    find_interpretation,
    interpret_run,
    load_interpretation,
)
from modalens.runs.layout import RunFolder
from modalens.runs.representations import representations
from modalens.store import EmbeddingStore
from tests.fakes import FakeVLM
from tests.runs.interpreted_run import HELD_OUT, own, seen, written
from tests.small_run import CONFIG, SCORING, Embedder, learn, loader


@pytest.fixture
def run(
    interpreted: tuple[RunFolder, dict[str, Interpretation], list[Embedder]], tmp_path: Path
) -> RunFolder:
    """An interpreted run to do things to."""
    shutil.copytree(interpreted[0].folder, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.fixture
def fresh(learned_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A run that was not interpreted, to do things to."""
    shutil.copytree(learned_run.folder, tmp_path / "fresh")
    return RunFolder(tmp_path / "fresh")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[Embedder]:
    """The sample embedders that the test loads."""
    loaded: list[Embedder] = []
    monkeypatch.setattr(interpreting, "load_sample_embedder", loader(loaded))
    return loaded


def rewritten(run: RunFolder, before: dict[Path, int]) -> set[str]:
    return {path.parent.parent.as_posix() for path, time in written(run).items() if before.get(path) != time}


def assert_same(one: Interpretation, other: Interpretation) -> None:
    """Bit for bit, NaN included."""
    for side in SIDES:
        assert one.ids[side].tolist() == other.ids[side].tolist()
        for name in ("rows", "values", "fired", "constant", "by"):
            assert_equal(getattr(one.top[side], name), getattr(other.top[side], name))
        for field in fields(one.mono[side]):
            assert_equal(getattr(one.mono[side], field.name), getattr(other.mono[side], field.name))
    for part in ("histograms", "bridges"):
        for field in fields(getattr(one, part)):
            assert_equal(*(getattr(getattr(each, part), field.name) for each in (one, other)))
    for place in range(2):
        assert_equal(one.neighbours[place], other.neighbours[place])
    assert_equal(one.mds.score, other.mds.score)
    assert_equal(one.mds.labels, other.mds.labels)
    assert one.config == other.config
    pd.testing.assert_frame_equal(one.along, other.along, check_exact=True)
    assert repr(one.fidelity) == repr(other.fidelity)


def assert_equal(one: object, other: object) -> None:
    if isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for name in one:
            assert_equal(one[name], other[name])
    elif isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.dtype.kind == other.dtype.kind
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def test_what_is_done_is_kept(run: RunFolder, interpreted, models: list[Embedder], monkeypatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("it was computed again")

    for name in ("top_samples", "monosemanticity", "bridges", "activation_histograms", "nearest_features"):
        monkeypatch.setattr(interpreting, name, refuse)
    before = written(run)
    found = interpret_run(run, CONFIG)
    assert written(run) == before
    assert all(model.seen == [] for model in models)
    for name, first in interpreted[1].items():
        assert_same(found[name], first)


def test_saved_and_loaded_it_is_the_same_bit_for_bit(run: RunFolder, interpreted) -> None:
    for each in representations(run):
        loaded = load_interpretation(each)
        assert loaded is not None
        assert_same(loaded, interpreted[1][each.name])


@pytest.mark.parametrize("change", [{"m": 4, "draws": 3}, {"rule": "mu_sigma"}, {"seed": 1}])
def test_another_configuration_is_interpreted_again(
    run: RunFolder, models: list[Embedder], change: dict[str, int]
) -> None:
    before = written(run)
    found = interpret_run(run, replace(CONFIG, **change), baselines=False)
    assert rewritten(run, before) == {".", "features/ncl", "features/sae"}
    assert all(model.seen == [] for model in models)  # samples do not depend on these
    assert {each.config for each in found.values()} == {replace(CONFIG, **change).judges(("image", "text"))}
    assert found["sae"].mds.rule == change.get("rule", "twofold")
    for each in representations(run):
        loaded = load_interpretation(each)
        assert loaded is not None
        assert_same(loaded, found[each.name])


def test_other_codes_are_interpreted_again_and_no_others(run: RunFolder, models: list[Embedder]) -> None:
    where = run.learned("sae").folder
    shutil.move(where / "interpret", run.folder / "kept")
    shutil.rmtree(where)
    learn(run, "sae", SAEConfig(6, n_features=16, k=2, seed=1))
    shutil.move(run.folder / "kept", where / "interpret")
    before = written(run)
    stale, *rest = (own(run, name) for name in ("sae", "raw", "ncl"))
    assert load_interpretation(stale) is None
    assert all(load_interpretation(each) for each in rest)
    interpret_run(run, CONFIG)
    assert rewritten(run, before) == {"features/sae"}
    assert load_interpretation(own(run, "sae")) is not None


def test_another_scoring_is_interpreted_again(run: RunFolder, models: list[Embedder]) -> None:
    shutil.rmtree(run.folder / "features")
    shutil.rmtree(run.baseline("untrained").folder / "features")
    score_store(run.store(), replace(SCORING, seed=3)).save(run.scores)
    assert load_interpretation(own(run, "raw")) is None
    before = written(run)
    interpret_run(run, CONFIG)
    assert rewritten(run, before) == {".", "baselines/untrained"}
    assert load_interpretation(own(run, "raw")) is not None


def test_pairs_embedded_anew_are_interpreted_again(run: RunFolder, pictures: Path, tmp_path: Path) -> None:
    """The same model, source and number of pairs, in another order."""
    raw = own(run, "raw")
    content = pictures.read_text(encoding="utf-8")
    header, *lines = content.splitlines()
    pictures.write_text("\n".join([header, *reversed(lines)]), encoding="utf-8")
    try:
        store = embed(load_pairs(f"csv:{pictures}"), FakeVLM(), tmp_path / "embeddings")
    finally:
        pictures.write_text(content, encoding="utf-8")
    assert store.ids.tolist() == raw.store.ids.tolist()[::-1]
    assert load_interpretation(raw) is not None
    assert load_interpretation(replace(raw, store=store)) is None


def test_a_save_that_was_stopped_is_not_taken_for_whole(run: RunFolder, models, monkeypatch) -> None:
    def die(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Bridges, "save", die)
        with pytest.raises(KeyboardInterrupt):
            interpret_run(run, replace(CONFIG, seed=5), baselines=False)
    # Files of two seeds lie side by side now, so neither may be believed.
    kept = [load_interpretation(each) for each in representations(run)]
    assert sum(each is None for each in kept) == 1
    found = interpret_run(run, CONFIG, baselines=False)
    assert found["raw"].mono["image"].seed == CONFIG.seed


def test_baselines_share_the_samples_and_the_scoring(fresh: RunFolder, models: list[Embedder]) -> None:
    baseline = fresh.baseline("untrained")
    score_store(baseline.store(), ScoreConfig(resamples=5)).save(baseline.scores)
    found = interpret_run(baseline, CONFIG, baseline_of=fresh)
    assert set(found) == {"raw", "sae"}
    assert not baseline.samples.exists()
    assert not (fresh.folder / "interpret").exists()
    assert {len(each.rows) for each in representations(baseline)} == {len(HELD_OUT) + 2}
    assert seen(models, "image") == len(HELD_OUT) + 1
    interpret_run(fresh, CONFIG)
    assert seen(models, "image") == len(HELD_OUT) + 1
    assert seen(models, "text") == len(HELD_OUT) + 2
    assert {path.name for path in fresh.samples.glob("*/*.npy")} == {"image.npy", "text.npy"}


def test_baselines_can_be_left_out(fresh: RunFolder, models: list[Embedder]) -> None:
    assert [load_interpretation(each) for each in representations(fresh)] == [None] * 3
    interpret_run(fresh, CONFIG, baselines=False)
    assert {path.parts[0] for path in written(fresh)} == {"interpret", "features"}


def test_the_source_is_needed_once(
    run: RunFolder, fresh: RunFolder, models: list[Embedder], pictures: Path
) -> None:
    pictures.rename(pictures.with_suffix(".moved"))
    try:
        interpret_run(run, replace(CONFIG, seed=7), baselines=False)
        with pytest.raises(ModalensError, match=r"images of .* come from csv:.*There is no file"):
            interpret_run(fresh, CONFIG)
    finally:
        pictures.with_suffix(".moved").rename(pictures)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("arrays.npz", lambda path: path.write_bytes(path.read_bytes()[:200])),
        ("arrays.npz", lambda path: path.write_bytes(b"")),
        ("arrays.npz", lambda path: path.write_bytes(_with_noise(path.read_bytes()))),
        ("arrays.npz", lambda path: path.unlink()),
        ("along_training.parquet", lambda path: path.unlink()),
        ("along_training.parquet", lambda path: path.write_bytes(b"PAR1")),
        ("bridges.parquet", lambda path: path.unlink()),
        ("monosemanticity-text.parquet", lambda path: path.write_bytes(b"")),
    ],
)
def test_damaged_files_are_one_sentence(run: RunFolder, name: str, damage: Callable[[Path], object]) -> None:
    each = own(run, "sae")
    path = each.folder / "interpret" / name
    damage(path)
    found = find_interpretation(each)
    assert isinstance(found, str)
    assert "interpret" in found
    assert load_interpretation(each) is None
    assert_same(interpret_run(run, CONFIG, baselines=False)["sae"], load_interpretation(each))


def _with_noise(content: bytes) -> bytes:
    """The same with every 50th byte of the first compressed arrays flipped."""
    changed = bytearray(content)
    for at in range(80, 1500, 50):
        changed[at] ^= 0xFF
    return bytes(changed)


def test_samples_that_look_alike_to_the_model_count_once(
    learned_run: RunFolder, tmp_path: Path, monkeypatch
) -> None:
    class Colourblind(Embedder):
        def embed(self, samples):
            return np.full((len(samples), self.dim), 1 + len(self.modality), np.float32)

    monkeypatch.setattr(interpreting, "load_sample_embedder", lambda name, modality: Colourblind(modality))
    store = learned_run.store()
    samples = collect_samples(store, tmp_path / "samples", np.array([3, 1, 2]), InterpretConfig())
    assert {side: samples.distinct[side].tolist() for side in SIDES} == {"image": [0], "text": [0]}
    assert samples.ids["image"].tolist() == [store.ids[3]]


def test_each_modality_has_its_judge() -> None:
    found = InterpretConfig(text_embedder="own").judges(("audio", "text"))
    assert (found.image_embedder, found.text_embedder) == ("own", "own")
    found = InterpretConfig().judges(("image", "text"))
    assert (found.image_embedder, found.text_embedder) == ("efficientnet-lite0", "minilm")
    assert InterpretConfig().judges(("protein", "text")).image_embedder == "own"


def foreign_store(
    folder: Path, n: int, d: int, captions: list[str | None], **columns: list[str]
) -> EmbeddingStore:
    """A store of clip-retrieval, in shards of 5,000 pairs."""
    random = np.random.default_rng(0)
    for number, start in enumerate(range(0, n, 5000)):
        rows = slice(start, min(start + 5000, n))
        for side in ("img_emb", "text_emb"):
            (folder / side).mkdir(parents=True, exist_ok=True)
            values = random.standard_normal((rows.stop - start, d), dtype=np.float32)
            np.save(folder / side / f"{side}_{number}.npy", values)
        (folder / "metadata").mkdir(exist_ok=True)
        frame = pd.DataFrame({"caption": captions, **columns})[rows]
        frame.to_parquet(folder / f"metadata/metadata_{number}.parquet")
    return EmbeddingStore.open(folder)


def test_own_embeddings_stay_on_the_disk(tmp_path: Path) -> None:
    n, d = 40_000, 256
    store = foreign_store(tmp_path, n, d, ["x"] * n)
    config = InterpretConfig(image_embedder="own", text_embedder="own")
    tracemalloc.start()
    samples = collect_samples(store, tmp_path / "samples", np.arange(n), config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples.embeddings["image"].shape == (n, d)
    assert peak < n * d * 4  # bytes of one side in float32


def test_memory_hardly_grows_with_pairs(tmp_path: Path) -> None:
    config = InterpretConfig(image_embedder="own", text_embedder="own", m=5, draws=1, shuffles=100)
    peaks = {}
    for n in (256, 2 * 4096, 4 * 4096):  # whole blocks; the first imports what it needs
        folder = tmp_path / str(n)
        names = [f"pair-{row:08}" for row in range(n)]
        foreign_store(folder, n, 32, ["x"] * n, id=names, image_path=[f"{row // 2}.jpg" for row in range(n)])
        (each,) = representations(RunFolder.find(folder), ScoreConfig(resamples=20))
        tracemalloc.start()
        samples = collect_samples(each.store, tmp_path, each.rows, config)
        inputs = (each.image, each.text, each.mds, samples, None, config, folder / "interpret")
        interpreting.interpret_features(*inputs, groups=each.groups(), about={})
        peaks[n] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Some row numbers, groups and packed ids.
    assert (peaks[4 * 4096] - peaks[2 * 4096]) / (2 * 4096) < 65, peaks


def test_judges_and_splits_keep_no_python_text_a_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captions of 100 letters that all pairs share, and a split: what is kept is packed, and each text once."""
    monkeypatch.setattr(interpreting, "load_sample_embedder", loader([]))
    config = InterpretConfig(image_embedder="own", text_embedder="some")
    peaks = {}
    for n in (256, 2 * 4096, 4 * 4096):
        folder = tmp_path / str(n)
        captions: list[str | None] = [f"{row % 8} {'a' * 100}" for row in range(n)]
        store = foreign_store(
            folder, n, 4, captions, split=["train" if row % 2 else "held-out" for row in range(n)]
        )
        tracemalloc.start()
        collect_samples(store, folder / "samples", store.rows_of_split("held-out"), config)
        peaks[n] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (peaks[4 * 4096] - peaks[2 * 4096]) / (2 * 4096) < 120, peaks
    assert peaks[4 * 4096] < 8 * 2**20, "nothing is read into a buffer for the largest file that is allowed"


def test_pairs_without_a_caption_are_left_out_where_a_text_is_needed(tmp_path, monkeypatch, caplog) -> None:
    captions = ["a", None, "b", "", "a", "b"]
    store = foreign_store(tmp_path, 6, 4, captions)
    monkeypatch.setattr(interpreting, "load_sample_embedder", loader([]))
    config = InterpretConfig(image_embedder="own", text_embedder="some")
    samples = collect_samples(store, tmp_path / "samples", np.arange(6), config)
    assert samples.distinct["text"].tolist() == [0, 2]
    assert samples.distinct["image"].tolist() == list(range(6))
    assert "2 pairs have no caption and are left out where texts are compared: 1, 3" in caplog.text
    nothing = foreign_store(tmp_path / "none", 2, 4, [None, None])
    with pytest.raises(ModalensError, match=r"No pair of .* has a caption; .*own"):
        collect_samples(nothing, tmp_path / "samples", np.arange(2), config)
