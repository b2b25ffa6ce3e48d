from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

from modalens.dominance import ESTIMATORS, RULES, modality_dominance, modality_gap, parts
from modalens.engine.workers import LocalEngine
from modalens.errors import ModalensError
from modalens.pairs.base import Pair
from modalens.runs import ScoreConfig, Scores, embed, load_stacked, score, score_store, scoring
from modalens.runs.layout import RunFolder
from modalens.runs.scoring import score_into
from modalens.store import CodeStore, EmbeddingStore, ShardContent, StoreWriter
from modalens.store.codes import csr_arrays
from modalens.store.manifest import CODES_KIND, Manifest
from tests.engine import crew
from tests.fakes import FakePairs, FakeVLM, colour_pairs

QUICK = ScoreConfig(resamples=30)


@pytest.fixture
def store(tmp_path):
    pairs = [
        Pair(p.id, p.ref, p.text, {"split": "held-out" if i < 40 else "train", "concept": i // 10})
        for i, p in enumerate(colour_pairs(20, captions=4))
    ]
    return embed(FakePairs(pairs), FakeVLM(), tmp_path / "run" / "embeddings", rows_per_shard=7)


def test_scores_survive_the_disk(tmp_path, clip_features):
    scores = score(*clip_features, QUICK, source={"file": "x.npy"})
    scores.save(tmp_path / "scores")
    again = Scores.load(tmp_path / "scores")
    assert again.gap == scores.gap
    assert again.retrieval == scores.retrieval
    assert again.config == QUICK
    for name, dominance in scores.dominance.items():
        if isinstance(dominance, str):
            assert again.dominance[name] == dominance
        else:
            assert np.array_equal(again.dominance[name].score, dominance.score)
    assert "never negative" in scores.dominance["signed_ratio"]


def test_captions_of_one_image_are_drawn_together(store):
    together = score_store(store, QUICK).dominance["mean_ratio"]
    apart = score(store.image, store.text, QUICK).dominance["mean_ratio"]
    np.testing.assert_allclose(together.score, apart.score, rtol=0, atol=1e-12)  # summed in another order
    by_hand = score(store.image, store.text, QUICK, groups=store.metadata["image_path"]).dominance[
        "mean_ratio"
    ]
    assert np.array_equal(together.low, by_hand.low)
    assert not np.array_equal(together.low, apart.low)


def test_retrieval_counts_a_shared_image_once(store):
    assert score_store(store, QUICK).retrieval.n == 20


def test_one_split_is_scored_as_if_it_were_alone(store):
    part = score_store(store, ScoreConfig(split="held-out", groups="concept", resamples=30))
    alone = score(store.image[:40], store.text[:40], QUICK, groups=np.arange(40) // 10)
    assert part.gap.n_pairs == 40
    assert np.array_equal(part.dominance["mean_ratio"].high, alone.dominance["mean_ratio"].high)
    assert part.gap.intervals == alone.gap.intervals
    with pytest.raises(ModalensError, match="there are held-out, train"):
        score_store(store, ScoreConfig(split="test"))
    with pytest.raises(ModalensError, match="no column 'colour'"):
        score_store(store, ScoreConfig(groups="colour"))


def test_scores_of_a_store_made_elsewhere(tmp_path, clip_features):
    for name, rows in zip(("img_emb", "text_emb"), clip_features, strict=True):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}_0000.npy", rows)
    scores = score_store(EmbeddingStore.open(tmp_path), QUICK)
    assert scores.dominance["mean_ratio"].mean == pytest.approx(0.4761, abs=5e-5)


def test_damaged_scores_are_said_to_be(tmp_path, rng):
    scores = score(*rng.standard_normal((2, 30, 4)), QUICK)
    with pytest.raises(ModalensError, match="There are no scores"):
        Scores.load(tmp_path)
    scores.save(tmp_path)
    (tmp_path / "scores.json").write_text('{"kind": "modalens scores", "schema_version": 1}')
    with pytest.raises(ModalensError, match="are damaged"):
        Scores.load(tmp_path)
    (tmp_path / "scores.json").write_text("[")
    with pytest.raises(ModalensError, match="not valid JSON"):
        Scores.load(tmp_path)


def test_a_run_is_found_by_each_of_its_names(store, tmp_path):
    run = RunFolder(tmp_path / "run")
    assert RunFolder.find(tmp_path / "run") == run
    assert RunFolder.find(tmp_path / "run" / "embeddings") == run
    assert run.embeddings == store.folder
    (tmp_path / "bare" / "img_emb").mkdir(parents=True)
    assert RunFolder.find(tmp_path / "bare").embeddings == tmp_path / "bare"
    with pytest.raises(ModalensError, match="There is no run"):
        RunFolder.find(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file"),
        (b"not numpy", "cannot be read"),
        (np.zeros((3, 4, 5)), r"shape \(3, 4, 5\)"),
        (np.zeros((2, 5)), r"shape \(2, 5\)"),
        (np.array([{}], dtype=object), "cannot be read"),
    ],
)
def test_bad_files(tmp_path, content, sentence):
    path = tmp_path / "x.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(ModalensError, match=sentence):
        load_stacked(path)


def save_codes(folder, image, text):
    about = [{"id": str(row)} for row in range(len(image))]
    with StoreWriter(folder, Manifest("0", {}, {}, {}, image.shape[1], CODES_KIND)) as writer:
        for index, start in enumerate(range(0, len(image), 13)):
            rows = slice(start, start + 13)
            arrays = csr_arrays("image", sp.csr_array(image[rows])) | csr_arrays(
                "text", sp.csr_array(text[rows])
            )
            writer.write_shard(
                index, [each["id"] for each in about[rows]], ShardContent(arrays, about[rows], [])
            )
        writer.finish(index + 1)
    return CodeStore.open(folder)


merge = parts.Sums.merge


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 11)


def test_workers_give_the_same_bytes(store, tmp_path, small_parts):
    for config in (QUICK, ScoreConfig(split="train", groups="concept", resamples=20, normalize=True)):
        for workers in (1, 2):
            with LocalEngine(workers) as engine:
                score_store(store, config, engine).save(tmp_path / f"{workers}")
        assert files(tmp_path / "1") == files(tmp_path / "2")


def test_sparse_codes_with_silent_pairs_are_scored_the_same_by_workers(tmp_path, small_parts, rng):
    dense = np.maximum(rng.normal(size=(2, 60, 9)) - 1, 0)
    dense[0, 20:23], dense[1, 40] = 0, 0
    codes = save_codes(tmp_path / "codes", *dense)
    for workers in (1, 2):
        with LocalEngine(workers) as engine:
            found = score_store(codes, QUICK, engine)
            found.save(tmp_path / f"{workers}")
    assert files(tmp_path / "1") == files(tmp_path / "2")
    fires = (dense.sum(axis=2) > 0).all(axis=0)
    alone = modality_gap(*(sp.csr_array(side[fires].astype(np.float32)) for side in dense), resamples=30)
    assert found.gap.n_pairs == fires.sum() < 60
    assert found.gap.l2m == alone.l2m
    assert found.gap.intervals == alone.intervals


def test_all_measures_of_one_pass_are_those_of_passes_of_their_own(clip_features, small_parts):
    groups = np.arange(500) // 3
    found = score(*clip_features, QUICK, groups=groups)
    gap = modality_gap(*clip_features, resamples=30, groups=groups)
    assert found.gap == gap
    for name in ("mean_ratio", "energy_ratio"):
        alone = modality_dominance(*clip_features, name, resamples=30, groups=groups)
        for part in ("score", "low", "high", "pairs"):
            assert np.array_equal(getattr(found.dominance[name], part), getattr(alone, part))
    with pytest.raises(ModalensError) as refused:
        modality_dominance(*clip_features, "signed_ratio", resamples=30)
    assert found.dominance["signed_ratio"] == str(refused.value)


@pytest.mark.parametrize("silent", [False, True])
def test_passes_of_their_own_where_memory_is_short_give_the_same(
    silent, tmp_path, small_parts, rng, monkeypatch
):
    dense = np.maximum(rng.normal(size=(2, 60, 9)) - 1, 0)
    dense[:, :, 0] += 0.1
    if silent:
        dense[1, 40] = 0
    codes = save_codes(tmp_path / "codes", *dense)
    score_store(codes, QUICK).save(tmp_path / "at once")
    monkeypatch.setattr(parts, "_MOST_AT_ONCE", 1)
    apart = []

    def noted(sums, other):
        apart.append(len(sums.own()))
        merge(sums, other)

    monkeypatch.setattr(parts.Sums, "merge", noted)
    score_store(codes, QUICK).save(tmp_path / "apart")
    assert set(apart) == {0, 1}  # the gap, and one estimator
    assert files(tmp_path / "at once") == files(tmp_path / "apart")


def test_estimators_that_agree_are_drawn_once(tmp_path, rng, monkeypatch):
    codes = np.abs(rng.normal(size=(2, 60, 9)))
    found = score(*codes, QUICK)
    alone = modality_dominance(*codes, "signed_ratio", resamples=30)
    signed = found.dominance["signed_ratio"]
    for part in ("score", "low", "high", "pairs"):
        assert np.array_equal(getattr(signed, part), getattr(alone, part))
    assert (signed.estimator, found.dominance["mean_ratio"].estimator) == ("signed_ratio", "mean_ratio")


def test_a_killed_worker_costs_its_part(store, tmp_path, small_parts, monkeypatch):
    score_store(store, QUICK).save(tmp_path / "whole")
    monkeypatch.setattr(scoring, "_sum_stored", partial(crew.sum_and_die, tmp_path / "died"))
    with LocalEngine(2) as engine:
        score_store(store, QUICK, engine).save(tmp_path / "struck")
    assert engine.retried == ["pairs 22 to 32"]
    assert files(tmp_path / "struck") == files(tmp_path / "whole")


def test_a_bad_row_is_named_whichever_part_it_is_in(store, small_parts):
    rows = store.image[:]
    rows[47, 3] = np.nan
    with pytest.raises(ModalensError, match="NaN or infinite value in row 47"):
        score(rows, store.text, QUICK)
    rows[47] = 0
    with pytest.raises(ModalensError, match="Row 47 of the image matrix is all zeros"):
        score(rows, store.text, QUICK)


def test_scores_from_before_a_rule_or_an_estimator_are_made_again(store, tmp_path, monkeypatch):
    score_into(tmp_path / "scores", store, QUICK)
    monkeypatch.setitem(RULES, "newer", RULES["twofold"])
    again = score_into(tmp_path / "scores", store, QUICK)
    assert again.dominance["mean_ratio"].count_intervals("newer")
    monkeypatch.setitem(ESTIMATORS, "newer", ESTIMATORS["energy_ratio"])
    assert "newer" in score_into(tmp_path / "scores", store, QUICK).dominance


def test_memory_that_runs_out_names_what_to_lower(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("modalens.runs.scoring.dominance_of", fail)
    sides = np.random.default_rng(0).standard_normal((2, 8, 3))
    with pytest.raises(ModalensError, match=r"200 resamples take about .* GiB .*fewer --resamples take less"):
        score(*sides)
