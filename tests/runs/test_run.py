"""A run opened in Python: what it gives, and its steps."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import modalens as ml
from modalens.errors import ModalensError
from modalens.runs import interpreting, origin
from modalens.runs.layout import RunFolder
from tests.fakes import FakeVLM
from tests.small_run import Embedder, loader


@pytest.fixture
def run(learned_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ml.Run:
    """A run to do things to; its model is the fake one."""
    shutil.copytree(learned_run.folder, tmp_path / "run")
    monkeypatch.setattr(origin, "load_vlm", lambda *args, **kwargs: FakeVLM(revision="1"))
    return ml.Run.open(tmp_path / "run")


def test_a_run_opens_its_pairs_model_groups_and_representations(run: ml.Run) -> None:
    assert next(iter(run.pairs())).id == "p0"
    assert run.vlm().dim == run.store.image.shape[1]
    assert run.groups is not None
    assert len(run.groups) == len(run.store)
    assert list(run.representations) == ["raw", "ncl", "sae"]
    assert run.left_out == {}
    assert "ncl, sae" in repr(run)


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModalensError, match="There is no run at"):
        ml.Run.open(tmp_path)


def test_scoring_goes_over_all_representations(run: ml.Run) -> None:
    scores = run.score(rule="mu_sigma")
    assert scores.config.rule == "mu_sigma"
    assert scores.config.split == "held-out"  # as before
    assert {each.scores.config.rule for each in run.representations.values()} == {"mu_sigma"}
    with pytest.raises(ModalensError, match="Scoring has no option 'rul'; it takes"):
        run.score(rul="mu_sigma")


def test_training_makes_a_representation(run: ml.Run) -> None:
    learned = run.train("sae", n_features=16, k=2, steps=5, batch_size=16, split="train")
    assert learned.model.config.n_features == 16
    (new,) = set(run.representations) - {"raw", "ncl", "sae"}
    assert run.representations[new].learned is not None
    assert run.model(new).card() == learned.model.card()
    with pytest.raises(ModalensError, match="several sets of features"):
        run.model()
    with pytest.raises(ModalensError, match="Training sae has no option 'steps_'"):
        run.train("sae", steps_=5)


def test_studies_take_their_own_options(run: ml.Run) -> None:
    found = run.study("stability", features="sae", baselines=False, seed=3)
    assert list(found) == ["sae"]
    assert found["sae"].config["seed"] == 3
    with pytest.raises(ModalensError, match="study stability has no option 'prompt'"):
        run.study("stability", prompt="a dog")


@pytest.mark.usefixtures("no_figures")
def test_the_report_and_the_interpretation(run: ml.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[Embedder] = []
    monkeypatch.setattr(interpreting, "load_sample_embedder", loader(models))
    asked = {"m": 5, "draws": 2, "shuffles": 100}
    assert list(run.interpret(features="sae", baselines=False, **asked)) == ["sae"]
    assert set(run.interpret(baselines=False, **asked)) == {"raw", "ncl", "sae"}
    page = run.report(title="All there is")
    assert "<title>All there is" in page.read_text(encoding="utf-8")
    assert page.parent == run.layout.report
    with pytest.raises(ModalensError, match="The report has no option 'tip'"):
        run.report(tip=3)


@pytest.mark.parametrize("features", ["raw", "sae"])
def test_explaining_a_text_and_an_image(run: ml.Run, features: str) -> None:
    each = run.representations[features]
    row = int(each.rows[0])
    caption = each.whole_column("caption")[row]
    found = run.explain(caption, features)
    stored = each.store.text[[row]]
    dense = np.asarray(stored.toarray() if hasattr(stored, "toarray") else stored)[0]
    assert set(found.features["feature"]) == set(np.flatnonzero(dense))
    strongest = found.features.iloc[0]
    np.testing.assert_allclose(strongest["value"], dense[int(strongest["feature"])], rtol=1e-5)
    assert strongest["label"] == each.mds.labels[int(strongest["feature"])]
    energy = dense.astype(float) ** 2
    for name, share in found.shares.items():
        np.testing.assert_allclose(share, energy[each.mds.labels == name].sum() / energy.sum(), rtol=1e-5)
    assert found.modality == "text"
    assert run.explain(Image.new("RGB", (8, 8), "red"), features).modality == "image"
    assert "features of" in repr(found)
    with pytest.raises(ModalensError, match="The sample is 3; give a text, an image or the path of one"):
        run.explain(3, features)  # type: ignore[arg-type]


def test_a_pair_is_explained_by_what_its_sides_share(run: ml.Run) -> None:
    image, text = Image.new("RGB", (8, 8), "red"), "picture: rrr tea"
    pair = run.explain_pair(image, text, "sae")
    sides = {"image": run.explain(image, "sae"), "text": run.explain(text, "sae")}
    fires = {side: set(each.features["feature"]) for side, each in sides.items()}
    features = pair.features.set_index("feature")
    assert set(features.index) == fires["image"] | fires["text"]
    assert set(features.index[features["on"] == "both"]) == fires["image"] & fires["text"]
    assert set(features.index[features["on"] == "image"]) == fires["image"] - fires["text"]
    for side, each in sides.items():
        np.testing.assert_allclose(features[side].sum(), 1)
        both = each.features["feature"].isin(fires["image"] & fires["text"])
        np.testing.assert_allclose(pair.overlap[side], each.features["energy"][both].sum())
    seen = run.representations["sae"]
    fire = [side[:].toarray() != 0 for side in (seen.image, seen.text)]  # type: ignore[union-attr]
    assert pair.shared_of_pairs == pytest.approx((fire[0] & fire[1]).sum(1).mean())
    assert pair.shared_of_shuffled >= 0


def test_an_edit_of_a_class_goes_by_the_run(run: ml.Run) -> None:
    edit = run.edit("image", 2.0, "sae")
    assert edit.indices == tuple(run.representations["sae"].mds.indices("image"))
    assert edit.apply(run.store.image[:3]).shape == (3, run.store.image.shape[1])
    assert run.edit([2, 0], features="raw").indices == (0, 2)
    with pytest.raises(ModalensError, match="There is no feature 16"):
        run.edit([16], features="sae")
    with pytest.raises(ModalensError, match="needs features with a decoder"):
        run.edit("image", features="ncl")
