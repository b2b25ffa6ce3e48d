"""What a run made before is used only while it was made from what is there now."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalens.errors import ModalensError
from modalens.features import SAEConfig
from modalens.features.loading import load_features
from modalens.pairs import load_pairs
from modalens.runs import Scores, embed, studying
from modalens.runs.layout import RunFolder
from modalens.runs.learning import folder_for, train_on
from modalens.runs.representations import RAW, find_representations, representations
from modalens.runs.scoring import score_into
from modalens.runs.subjects import StudySubject
from modalens.store.kept import RECORD_NAME, read_inputs
from modalens.studies.class_stability.config import StabilityConfig
from tests.fakes import FakeVLM
from tests.small_run import SCORING, TRAINING


@pytest.fixture
def run(learned_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A run to do things to."""
    shutil.copytree(learned_run.folder, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def embed_with_another_model(run: RunFolder, pictures: Path) -> None:
    shutil.rmtree(run.embeddings)
    vlm = FakeVLM(revision="2")
    vlm.name = "another"
    vlm.weights = vlm.weights[::-1].copy()
    embed(load_pairs(f"csv:{pictures}"), vlm, run.embeddings)


def test_scores_of_earlier_embeddings_are_made_again(run: RunFolder, pictures: Path) -> None:
    before = Scores.load(run.scores)
    embed_with_another_model(run, pictures)
    found = representations(run)
    assert [each.name for each in found] == [RAW]
    assert found[0].scores.config == before.config
    assert found[0].scores.source["model"]["model"] == "another"
    old, new = before.dominance["mean_ratio"], found[0].scores.dominance["mean_ratio"]
    assert not np.array_equal(old.score, new.score, equal_nan=True)


def test_features_of_another_models_embeddings_are_named(run: RunFolder, pictures: Path) -> None:
    embed_with_another_model(run, pictures)
    left_out = dict(find_representations(run).left_out)
    assert set(left_out) == {"sae", "ncl"}
    assert "were learned on embeddings of fake, and those here are of another" in left_out["sae"]


def test_features_of_the_same_model_with_other_weights_are_named(run: RunFolder, pictures: Path) -> None:
    shutil.rmtree(run.embeddings)
    vlm = FakeVLM(revision="2")
    vlm.weights = vlm.weights[::-1].copy()
    embed(load_pairs(f"csv:{pictures}"), vlm, run.embeddings)
    left_out = dict(find_representations(run).left_out)
    assert "were learned on embeddings of another state of fake" in left_out["sae"]


def test_models_with_other_settings_live_beside_each_other(run: RunFolder) -> None:
    store = run.store()
    config = SAEConfig(int(store.image.shape[1]), n_features=16, k=2)
    longer = replace(TRAINING, steps=30)
    folders = [folder_for(run, "topk", config, store, each, "train") for each in (TRAINING, longer)]
    assert folders[0] == folders[1] == run.learned("topk").folder
    train_on(config, store, TRAINING, folders[0], split="train")
    beside = folder_for(run, "topk", config, store, longer, "train")
    assert beside != folders[0]
    assert folder_for(run, "topk", config, store, TRAINING, "train") == folders[0]
    train_on(config, store, longer, beside, split="train")
    assert folder_for(run, "topk", config, store, longer, "train") == beside
    assert {folders[0].name, beside.name} <= {each.name for each in representations(run)}


@pytest.mark.parametrize(
    "name", ["raw", "replaced", "..", "../../elsewhere", "a/b", "/tmp/x", "a\nb", "\x1b[2J", " ", "a\udcff"]
)
def test_features_cannot_be_called_what_means_something_else(run: RunFolder, name: str) -> None:
    store = run.store()
    config = SAEConfig(int(store.image.shape[1]), n_features=16, k=2)
    with pytest.raises(ModalensError, match="cannot name features; give a plain name"):
        folder_for(run, name, config, store, TRAINING, "train")


def test_features_that_are_learned_anew_are_set_aside_with_all_that_was_made_of_them(run: RunFolder) -> None:
    store, where = run.store(), run.learned("sae")
    before = load_features(where.folder).card()
    codes = (where.codes / "manifest.json").read_bytes()
    config = SAEConfig(int(store.image.shape[1]), n_features=16, k=3)
    train_on(config, store, replace(TRAINING, checkpoint_every=100), where.folder, split="train")
    found = {each.name: each for each in representations(run)}
    assert found["sae"].learned.model.config.k == 3
    (aside,) = (where.folder.parent / "replaced").iterdir()
    assert load_features(aside).card() == before
    assert (aside / "codes/manifest.json").read_bytes() == codes


def test_unfinished_training_is_named(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    store = run.store()
    config = SAEConfig(int(store.image.shape[1]), n_features=16, k=2, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr("modalens.runs.learning.train", die)
        with pytest.raises(KeyboardInterrupt):
            train_on(config, store, TRAINING, run.learned("again").folder, split="train")
    left_out = dict(find_representations(run).left_out)
    assert "training of the features again is not finished" in left_out["again"]
    train_on(config, store, TRAINING, run.learned("again").folder, split="train")
    assert "again" in {each.name for each in representations(run)}


def test_nothing_is_made_where_it_is_only_looked_at(run: RunFolder) -> None:
    shutil.rmtree(run.learned("sae").codes)
    left_out = dict(find_representations(run, make=False).left_out)
    assert "codes" in left_out["sae"]
    assert not run.learned("sae").codes.exists()
    representations(run)
    assert find_representations(run, make=False).left_out == []


def test_damaged_scores_are_made_again(run: RunFolder) -> None:
    path = run.scores / "dominance-mean_ratio.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    again = score_into(run.scores, run.store(), SCORING)
    assert again.dominance["mean_ratio"].score.shape
    assert path.read_bytes() != bytes(content)


def test_damage_is_told_where_nothing_is_made(run: RunFolder) -> None:
    (run.scores / "gap.json").unlink()
    left_out = dict(find_representations(run, make=False).left_out)
    assert "gap.json is missing" in left_out[RAW]
    with pytest.raises(ModalensError, match="gap"):
        Scores.load(run.scores)


def test_a_wrong_option_costs_no_scores(run: RunFolder) -> None:
    before = read_inputs(run.scores)
    with pytest.raises(ModalensError, match="split 'nope'"):
        score_into(run.scores, run.store(), replace(SCORING, split="nope"))
    assert read_inputs(run.scores) == before
    assert find_representations(run, make=False).left_out == []


def test_other_seeds_of_earlier_embeddings_are_no_other_seeds(run: RunFolder) -> None:
    """Features of another seed count beside those learned on the same pairs, and only once they are done."""
    store = run.store()
    config = SAEConfig(int(store.image.shape[1]), 16, 2, seed=1)
    train_on(config, store, replace(TRAINING, seed=1), run.learned("again").folder, split="train")

    def others() -> list[str]:
        found = {each.name: each for each in representations(run)}
        return [seed for seed, _ in StudySubject.of(found["sae"]).retrained()]

    assert others() == ["seed 1"]
    record = run.learned("again").folder / RECORD_NAME
    document = json.loads(record.read_text())
    for change in ({"files": None}, {"inputs": {**document["inputs"], "embeddings": {"model": "fake"}}}):
        record.write_text(json.dumps({**document, **change}))
        assert others() == []


def test_what_does_not_apply_is_said_of_what_it_was_said_of(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = studying._kept_or_made

    def refuse_raw(study: Any, subject: Any, *given: Any) -> Any:
        if subject.name == RAW:
            raise ModalensError("No feature is of text.")
        return real(study, subject, *given)

    with monkeypatch.context() as patch:
        patch.setattr(studying, "_kept_or_made", refuse_raw)
        studying.run_study(run, "stability", StabilityConfig(resamples=5, splits=2), baselines=False)
    results, left_out = studying.find_studies(run, representations(run))
    assert [name for _, name, _ in results] == ["ncl", "raw", "sae"]
    assert left_out == []
    results, left_out = studying.find_studies(run, representations(run, replace(SCORING, rule="mu_sigma")))
    assert results == []
    assert "scoring rule 'twofold' there, 'mu_sigma' here" in dict(left_out)["the study stability of raw"]
    (run.study("stability") / RAW / "result.json").write_text("{")
    _, left_out = studying.find_studies(run, representations(run))
    assert "run the study again" in dict(left_out)["the study stability of raw"]
