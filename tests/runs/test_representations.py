"""What a run can be seen through: the scored rows, their groups, and what tells one from another."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modalens.errors import ModalensError
from modalens.features.loading import load_features
from modalens.runs import Scores, embed
from modalens.runs.layout import RunFolder
from modalens.runs.representations import RAW, Representation, representations
from modalens.runs.scoring import score_into
from modalens.store import EmbeddingStore
from tests.fakes import FakePairs, FakeVLM, colour_pairs
from tests.small_run import COLOURS, SCORING


@pytest.fixture
def run(learned_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A run to do things to."""
    shutil.copytree(learned_run.folder, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.fixture(scope="module")
def found(learned_run: RunFolder) -> dict[str, Representation]:
    return {each.name: each for each in representations(learned_run)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Representation:
    """Embeddings with a label, of which all pairs are scored."""
    run = RunFolder(tmp_path_factory.mktemp("raw") / "run")
    store = embed(FakePairs(colour_pairs(12, captions=2)), FakeVLM(), run.embeddings)
    score_into(run.scores, store, replace(SCORING, split=None))
    return representations(run)[0]


def test_the_embeddings_come_first_then_features_by_name(found, learned_run: RunFolder) -> None:
    assert list(found) == [RAW, "ncl", "sae"]
    assert found[RAW].folder == learned_run.folder
    assert found["sae"].folder == learned_run.learned("sae").folder
    assert found[RAW].learned is found[RAW].embeddings is found[RAW].directions is None
    assert found["ncl"].directions is None
    decoder = load_features(found["sae"].folder).W_dec.numpy()
    np.testing.assert_array_equal(found["sae"].directions, decoder)
    assert found["sae"].embeddings.folder == learned_run.embeddings


@pytest.mark.parametrize("name", [RAW, "ncl", "sae"])
def test_the_pairs_of_the_split_are_what_is_scored(found, name: str) -> None:
    each = found[name]
    split = each.store.metadata["split"].to_numpy()
    expected = [row for row in range(len(split)) if split[row] == "held-out"]
    assert each.rows.tolist() == expected
    assert len(expected) < len(split)
    assert each.mds.n_pairs == each.image.shape[0] == len(expected)
    for side in ("image", "text"):
        whole, picked = getattr(each.store, side)[:], getattr(each, side)[:]
        difference = whole[expected] - picked
        assert not difference.any() if isinstance(difference, np.ndarray) else difference.nnz == 0
    assert each.column("caption").tolist() == each.store.metadata["caption"].iloc[expected].tolist()


def test_without_a_split_all_pairs_are_scored(raw: Representation) -> None:
    assert raw.rows.tolist() == list(range(24))
    assert raw.mds.n_pairs == 24
    assert raw.column("group").tolist() == [row // 2 % 3 for row in range(24)]
    with pytest.raises(ModalensError, match="has no column 'mood'"):
        raw.column("mood")


def test_pairs_of_one_image_or_of_one_label_are_a_group(found, raw: Representation) -> None:
    images = raw.groups()
    assert images is not None
    assert len(set(images)) == 12
    assert (images[::2] == images[1::2]).all()
    by_label = replace(raw, scores=replace(raw.scores, config=replace(raw.scores.config, groups="group")))
    assert by_label.groups().tolist() == [row // 2 % 3 for row in range(24)]
    held_out = found[RAW].groups()
    assert len(held_out) == len(found[RAW].rows)
    assert np.bincount(held_out).max() == 2  # 0.png


def test_a_bare_store_is_a_run_without_groups(tmp_path: Path, rng) -> None:
    for side in ("img_emb", "text_emb"):
        (tmp_path / side).mkdir()
        np.save(tmp_path / side / f"{side}_0000.npy", rng.normal(size=(20, 4)).astype(np.float32))
    (only,) = representations(RunFolder.find(tmp_path))
    assert only.store.manifest is None
    assert only.groups() is None
    assert len(only.rows) == 20
    assert json.dumps(only.about())


def test_scores_are_made_once(run: RunFolder) -> None:
    shutil.rmtree(run.scores)
    store = run.store()
    made = score_into(run.scores, store, SCORING)
    times = {path: path.stat().st_mtime_ns for path in run.scores.iterdir()}
    for config in (SCORING, None):
        kept = score_into(run.scores, store, config)
        np.testing.assert_array_equal(kept.dominance["mean_ratio"].score, made.dominance["mean_ratio"].score)
    assert {path: path.stat().st_mtime_ns for path in run.scores.iterdir()} == times
    other = replace(SCORING, rule="twofold")
    assert score_into(run.scores, store, other).config == other
    assert Scores.load(run.scores).config == other


def test_learned_features_are_scored_as_the_embeddings_are(run: RunFolder) -> None:
    score_into(run.scores, run.store(), replace(SCORING, split="train"))
    assert {len(each.rows) for each in representations(run)} == {COLOURS // 3}
    assert {each.mds.n_pairs for each in representations(run)} == {COLOURS // 3}


def test_an_undefined_score_is_said(raw: Representation) -> None:
    scores = replace(raw.scores, dominance={"mean_ratio": "It changes sign."})
    with pytest.raises(ModalensError, match="It changes sign"):
        _ = replace(raw, scores=scores).mds


def test_each_is_told_from_every_other(found, learned_run: RunFolder) -> None:
    twins = representations(learned_run.baseline("untrained"))
    rescored = replace(
        found["sae"], scores=replace(found["sae"].scores, config=replace(SCORING, rule="mu_sigma"))
    )
    abouts = [json.dumps(each.about(), sort_keys=True) for each in (*found.values(), *twins, rescored)]
    assert len(set(abouts)) == len(abouts)
    again = replace(found[RAW], store=EmbeddingStore.open(learned_run.embeddings))
    assert json.dumps(again.about(), sort_keys=True) == abouts[0]
