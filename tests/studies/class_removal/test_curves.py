"""What a class costs per feature, where a few strong features carry as much as a large class."""

import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.report.charts import PageCanvas
from modalens.report.rendering import drawing
from modalens.studies.class_removal.curves import CLASS, EQUAL_ENERGY, RANDOM
from modalens.studies.class_removal.figures import FIGURES
from modalens.studies.class_removal.study import removal
from modalens.studies.result import StudyResult

N = 300
SIDES = ("image", "text")


@pytest.fixture(scope="module")
def found() -> StudyResult:
    """Of a label with two parts, 40 image-dominant features hold the one weakly each, 2 cross-modal ones the other."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 2, (2, N))
    image, text = rng.normal(size=(2, N, 52))
    image[:, :40] += 0.9 * one[:, None] * rng.choice([-1, 1], 40)
    image[:, 40:42] += 5 * other[:, None]
    text[:, 40:42] *= 3
    image[:, :40] *= 6
    text[:, 42:] *= 6
    mds = modality_dominance(image, text, resamples=0)
    assert mds.counts()["cross"] == 2
    return removal(image, text, 2 * one + other, mds, folds=2, curve_draws=4, seed=1)


def test_a_small_class_costs_more_per_feature(found: StudyResult) -> None:
    unit = found.tables["per_unit"].set_index(["modality", "without"])
    own, cross = unit.loc[("image", "image")], unit.loc[("image", "cross")]
    whole = found.tables["removal"].set_index(["modality", "without"])
    assert whole.loc[("image", "cross"), "removed"] == 2
    assert cross["per_100"] > 5 * own["per_100"]
    assert cross["per_100_low"] > own["per_100_high"]
    assert cross["per_tenth"] > own["per_tenth"]  # of little energy too
    drop = whole.loc[("image", "image"), "drop"]
    assert own["per_100"] == pytest.approx(drop / 0.4)
    assert own["per_tenth"] == pytest.approx(drop / (10 * own["energy"]))
    assert own["random_per_100"] == pytest.approx(
        (whole.loc[("image", "image"), "whole"] - whole.loc[("image", "image"), "random"]) / 0.4
    )


def test_curves_compare_classes_at_equal_numbers(found: StudyResult) -> None:
    curves = found.tables["curves"].query("modality == 'image'")
    at = curves[curves["removed"] == 2].set_index(["without", "kind"])
    assert at.loc[("cross", CLASS), "drop_low"] > at.loc[("image", CLASS), "drop_high"]
    assert at.loc[("cross", CLASS), "drop_low"] > at.loc[("", RANDOM), "drop"]
    assert at.loc[("cross", CLASS), "drop_low"] > at.loc[("cross", EQUAL_ENERGY), "drop"]
    own = curves[(curves["without"] == "image") & (curves["kind"] == CLASS)]
    assert own["removed"].tolist() == [1, 2, 5, 10, 20, 40]
    table = found.tables["removal"].set_index(["modality", "without"])
    assert own["drop"].iloc[-1] == pytest.approx(table.loc[("image", "image"), "drop"])
    assert ((curves["drop_low"] <= curves["drop"]) & (curves["drop"] <= curves["drop_high"])).all()
    beside = curves[(curves["without"] == "image") & (curves["kind"] == EQUAL_ENERGY)]
    assert beside["energy"].to_numpy() == pytest.approx(own["energy"].to_numpy(), rel=0.35)
    assert any(
        each.startswith("With 2 features of each class removed, image accuracy loses ")
        for each in found.statements
    )


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_draws_every_class(found: StudyResult, narrow: bool) -> None:
    (figure,) = FIGURES
    assert figure.fits(found)
    with drawing():
        axes = figure.draw({"Raw": found}, [], SIDES, PageCanvas(narrow)).axes
    assert [each.get_title(loc="left") for each in axes] == ["Raw: images", "Raw: texts"]
    assert {"image", "cross", "text", "random"} <= {str(line.get_label()) for line in axes[0].lines}
    labels = [each.get_text() for each in axes[0].get_xticklabels()]
    assert labels
    assert all(label.replace(",", "").isdecimal() for label in labels)
