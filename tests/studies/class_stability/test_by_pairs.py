"""Scores of growing parts of the pairs, by hand."""

import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.report.charts import PageCanvas
from modalens.report.rendering import drawing
from modalens.studies.class_stability.by_pairs import by_pairs, statement
from modalens.studies.class_stability.config import StabilityConfig
from modalens.studies.class_stability.figures import FIGURES
from modalens.studies.class_stability.study import stability
from tests.studies.class_stability.test_study import planted

SIDES = ("image", "text")
QUICK = StabilityConfig(resamples=20, splits=2)


def test_parts_grow_by_whole_groups_and_end_with_all_pairs() -> None:
    image, text = planted(n=240)
    keys = np.repeat(np.arange(80), 3)
    table = by_pairs(image, text, keys, QUICK, SIDES)
    one = table[table["rule"] == "twofold"]
    assert one["pairs"].tolist() == [51, 102, 201, 240]
    assert (one["pairs"] == 3 * one["groups"]).all()
    whole = modality_dominance(image, text, groups=keys, resamples=0)
    last = one.iloc[-1]
    assert [last[side] for side in SIDES] == [whole.counts("twofold")[side] for side in SIDES]
    assert last["std"] == pytest.approx(whole.std)
    assert last["correlation"] == pytest.approx(1)
    assert (one["correlation"].diff().dropna() > 0).all()
    assert ((one["image_low"] <= one["image"]) & (one["image"] <= one["image_high"])).all()
    assert "and 40 on 240 pairs (r = 1.00); r is" in str(statement(table, SIDES))


def test_few_pairs_call_more_noise_one_sided() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_t(2, size=(2, 500, 80)) ** 3
    table = by_pairs(*noise, np.arange(500), QUICK, SIDES)
    found = table[table["rule"] == "twofold"].set_index("pairs")
    assert found.loc[50, "image"] + found.loc[50, "text"] >= found.loc[500, "image"] + found.loc[500, "text"]
    assert statement(by_pairs(*noise[:, :40], np.arange(40), QUICK, SIDES), SIDES) is None


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_draws_the_table(narrow: bool) -> None:
    result = stability(*planted(n=120), config=QUICK)
    (figure,) = FIGURES
    assert figure.fits(result)
    with drawing():
        (axes,) = figure.draw({"Raw": result}, [{"Raw": result}], SIDES, PageCanvas(narrow)).axes
    thick = [line for line in axes.lines if line.get_linewidth() == 2.2]
    assert [line.get_label() for line in thick] == list(SIDES)
    assert np.asarray(thick[0].get_xdata()).tolist() == [50, 100, 120]
