"""Dictionaries of other libraries in a run: encoded, scored, interpreted and reported like its own."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import modalens as ml
from modalens.errors import ModalensError
from modalens.runs import interpreting
from modalens.runs.dictionary_baselines import BaselinesConfig, train_baselines
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from tests.small_run import CONFIG, Embedder, loader
from tests.theirs import save_theirs


@pytest.fixture
def run_folder(learned_run: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(learned_run.folder, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_it_is_a_representation_like_any_other(
    run_folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    d = int(run_folder.store().image.shape[1])
    theirs = save_theirs(tmp_path / "theirs", d)
    run = ml.Run.open(run_folder.folder)
    before = set(run.representations)
    taken = run.take_in(theirs)
    name = "dictionary_learning-n12"
    assert set(run.representations) - before == {name}
    assert taken.scores.dominance["mean_ratio"].score.shape == (12,)  # type: ignore[union-attr]
    again = run.take_in(theirs / "ae.pt")
    assert np.array_equal(again.model.W_dec.numpy(), taken.model.W_dec.numpy())
    assert set(run.representations) - before == {name}
    models: list[Embedder] = []
    monkeypatch.setattr(interpreting, "load_sample_embedder", loader(models))
    assert name in interpret_run(run_folder, CONFIG, features=name)
    steered = run.study("steer", features=name, random_directions=200, draws=5, baselines=False)
    assert len(steered[name].tables["features"]) > 0
    page = run.report(out=tmp_path / "report")
    assert "dictionary_learning trained (AutoEncoderTopK), with k = 3" in page.read_text()
    with pytest.raises(ModalensError, match="were trained elsewhere"):
        train_baselines(run_folder, BaselinesConfig(name))


def test_names_and_widths(run_folder: RunFolder, tmp_path: Path) -> None:
    d = int(run_folder.store().image.shape[1])
    run = ml.Run.open(run_folder.folder)
    with pytest.raises(ModalensError, match=f"of width {d + 1}; those of the run have width {d}"):
        run.take_in(save_theirs(tmp_path / "wide", d + 1))
    assert not any("dictionary_learning" in each.name for each in run_folder.begun())
    first, second = save_theirs(tmp_path / "first", d), save_theirs(tmp_path / "second", d, k=2)
    run.take_in(first, "mine")
    with pytest.raises(ModalensError, match="other features of the name mine"):
        run.take_in(second, "mine")
    own = next(each.name for each in run_folder.all_learned() if each.name != "mine")
    with pytest.raises(ModalensError, match=f"other features of the name {own}"):
        run.take_in(second, own)
    with pytest.raises(ModalensError, match="cannot name features"):
        run.take_in(second, "a/b")
    run.take_in(second, "other")
    assert {"mine", "other"} <= set(run.representations)
