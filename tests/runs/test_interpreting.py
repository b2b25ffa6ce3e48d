"""Interpretations: of the right samples, kept, made again when anything changes, the same after saving and loading."""

import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from modalens.errors import ModalensError
from modalens.features import SAEConfig
from modalens.features.loading import load_features
from modalens.interpret import Bridges, monosemanticity
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
from modalens.runs.representations import Representation, representations
from modalens.store import EmbeddingStore
from tests.fakes import FakeVLM
from tests.small_run import COLOURS, CONFIG, SCORING, Embedder, colour, learn, loader

HELD_OUT = [number for number in range(COLOURS) if number % 3 != 1]


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


def seen(models: list[Embedder], modality: str) -> int:
    return sum(len(model.seen) for model in models if model.modality == modality)


def written(run: RunFolder) -> dict[Path, int]:
    """When each file of an interpretation was written, by its place in the run."""
    files = (path for folder in run.folder.rglob("interpret") for path in folder.iterdir())
    return {path.relative_to(run.folder): path.stat().st_mtime_ns for path in files}


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


def own(run: RunFolder, name: str) -> Representation:
    return next(each for each in representations(run) if each.name == name)


def dense(codes) -> np.ndarray:
    rows = codes[:]
    return rows.toarray() if sp.issparse(rows) else np.asarray(rows)


# What is interpreted


def test_every_representation_of_a_run_and_of_its_baselines(interpreted) -> None:
    run, found, _ = interpreted
    assert set(found) == {"raw", "ncl", "sae"}
    assert {path.parent.as_posix() for path in written(run)} == {
        "interpret",
        "features/ncl/interpret",
        "features/sae/interpret",
        "baselines/untrained/interpret",
        "baselines/untrained/features/sae/interpret",
    }
    for name, f in (("raw", 6), ("ncl", 8), ("sae", 16)):
        each = found[name]
        assert len(each.mds.score) == len(each.mono["image"].mono) == len(each.histograms.edges) == f
        assert each.mds.rule == CONFIG.rule == "twofold"
        assert each.neighbours[0].shape == each.neighbours[1].shape == (f, 6)
        assert each.bridges.has_decoder == (name == "sae")


def test_a_picture_counts_once_whatever_its_names_and_captions(interpreted) -> None:
    _, found, models = interpreted
    ids = found["raw"].ids
    assert ids["image"].tolist() == [f"p{number}" for number in HELD_OUT]
    assert ids["text"].tolist() == [*ids["image"], "again", "copy"]
    # The copy is another file, so it is embedded before it is known to be the same.
    assert seen(models, "image") == len(HELD_OUT) + 1
    assert seen(models, "text") == len(HELD_OUT) + 2


@pytest.mark.parametrize("name", ["raw", "ncl", "sae"])
def test_strongest_samples_equal_a_search_through_the_held_out_pairs(interpreted, name: str) -> None:
    run, found, _ = interpreted
    store = own(run, name).store
    place = {pair: row for row, pair in enumerate(store.ids)}
    picture = dict(zip(store.ids, store.metadata["image_path"], strict=True))
    for side in SIDES:
        codes = dense(getattr(store, side))
        for feature, (rows, values) in enumerate(
            zip(found[name].top[side].rows, found[name].top[side].values, strict=True)
        ):
            own_ids = found[name].ids[side]
            strength = {pair: codes[place[pair], feature] for pair in own_ids}
            ranked = sorted((-abs(value), at) for at, value in enumerate(strength.values()) if value)
            named = list(strength)
            shown = [picture[named[at]] for _, at in ranked]
            naive = [at for place, (_, at) in enumerate(ranked) if shown[place] not in shown[:place]]
            assert own_ids[rows[rows >= 0]].tolist() == [own_ids[at] for at in naive[: CONFIG.m]]
            np.testing.assert_array_equal(
                values[rows >= 0], [strength[named[at]] for at in naive[: CONFIG.m]]
            )


def test_samples_are_judged_by_the_other_models_embeddings(interpreted) -> None:
    run, found, _ = interpreted
    each = own(run, "sae")
    place = {pair: row for row, pair in enumerate(each.store.ids)}
    by_hand = {
        "image": np.array([1 + np.array(colour(number)) for number in HELD_OUT], np.float32),
        "text": Embedder("text").embed(
            each.store.metadata["caption"].iloc[[place[pair] for pair in found["sae"].ids["text"]]].tolist()
        ),
    }
    for side in SIDES:
        rows = np.array([place[pair] for pair in found["sae"].ids[side]])
        codes = getattr(each.store, side).pick(rows)
        groups = each.store.metadata["image_path"].to_numpy()[rows]
        expected = monosemanticity(
            codes, by_hand[side], CONFIG.m, CONFIG.seed, draws=CONFIG.draws, groups=groups
        )
        np.testing.assert_allclose(found["sae"].mono[side].mono, expected.mono, rtol=1e-5)
        np.testing.assert_array_equal(found["sae"].mono[side].samples, expected.samples)


def test_a_dead_feature_has_no_numbers(interpreted) -> None:
    found = interpreted[1]["sae"]
    dead = np.flatnonzero(found.mds.labels == "dead")
    assert len(dead)
    for side in SIDES:
        assert np.isnan(found.mono[side].mono[dead]).all()
        assert (found.top[side].rows[dead] == -1).all()
        assert not getattr(found.histograms, side)[dead].any()
    assert np.isnan(found.histograms.edges[dead]).all()
    assert set(found.bridges.verdict[dead]) == {""}
    assert found.fidelity.average("mono", "image").features <= len(found.mds.score) - len(dead)


def test_without_a_decoder_features_are_near_that_fire_together(interpreted) -> None:
    run, found, _ = interpreted
    each = own(run, "ncl")
    both = np.concatenate([dense(each.image), dense(each.text)]).astype(np.float64)
    lengths = np.linalg.norm(both, axis=0)
    for feature in range(both.shape[1]):
        cosine = {
            other: both[:, feature] @ both[:, other] / lengths[feature] / lengths[other]
            for other in range(both.shape[1])
            if other != feature and lengths[other]
        }
        near, cosines = (part[feature] for part in found["ncl"].neighbours)
        assert near.tolist() == sorted(cosine, key=lambda other: -cosine[other])[:6]
        np.testing.assert_allclose(cosines, [cosine[other] for other in near], atol=1e-5)


def test_with_a_decoder_features_are_near_that_point_the_same_way(interpreted) -> None:
    run, found, _ = interpreted
    decoder = load_features(run.learned("sae").folder).W_dec.numpy()
    unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    near, cosine = (part[:, 0] for part in found["sae"].neighbours)
    np.testing.assert_allclose(cosine, np.sort(unit @ unit.T, axis=1)[:, -2], atol=1e-5)
    np.testing.assert_allclose((unit * unit[near]).sum(axis=1), cosine, atol=1e-5)


def test_mono_along_training_ends_with_that_of_the_model(interpreted) -> None:
    run, found, _ = interpreted
    assert found["raw"].along.empty
    along = found["sae"].along
    assert along[["step", "modality", "metric"]].to_numpy().tolist() == [
        [step, side, metric]
        for step in (10, 20)
        for side in SIDES
        for metric in ("embsim", "winrate", "mono")
    ]
    each = own(run, "sae")
    place = {pair: row for row, pair in enumerate(each.store.ids)}
    for side in SIDES:
        rows = np.array([place[pair] for pair in found["sae"].ids[side]])
        (kept,) = run.samples.glob(f"*/{side}.npy")
        samples = np.load(kept)[np.searchsorted(each.rows, rows)]
        groups = each.store.metadata["image_path"].to_numpy()[rows]
        once = monosemanticity(
            getattr(each.store, side).pick(rows), samples, CONFIG.m, CONFIG.seed, draws=1, groups=groups
        )
        for metric in ("embsim", "winrate", "mono"):
            last = along.query("step == 20 and modality == @side and metric == @metric").iloc[0]
            assert last["features"] == once.scored.sum()
            assert last["value"] == pytest.approx(getattr(once, metric)[once.scored].mean())
            assert last["chance"] == pytest.approx(once.chance[metric][once.scored].mean())
            assert last["low"] <= last["value"] <= last["high"]


# What is kept


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
