"""The sweep over dictionary sizes in the report."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from modalens.interpret.sweep import BESIDE
from modalens.report import ReportData
from modalens.report.naming import Naming
from modalens.report.rendering import drawing
from modalens.report.sections.sweep.figures import pareto
from modalens.report.sections.sweep.sentences import statements
from tests.interpreted import Part, quick_page
from tests.swept import make_sweep

SIZES = {(32, 4): (0.8, 0.5), (64, 4): (0.6, 0.4), (64, 32): (0.1, 0.1), (32, 8): (0.5, 0.45)}


def test_the_recommendation_stands_with_its_reason_and_the_published_setting(
    data: ReportData, tmp_path: Path
) -> None:
    page = quick_page(dataclasses.replace(data, sweep=make_sweep(SIZES, mono=0.4)), tmp_path)
    part = Part(page, "sweep")
    assert page.index('id="sweep"') < page.index('id="made"')
    assert "Mono" in part.text
    assert len(pd.read_csv(tmp_path / "tables/sweep.csv")) == 4
    assert len(pd.read_csv(tmp_path / "tables/sweep_by_seed.csv")) == 8
    assert 'id="sweep"' not in quick_page(data, tmp_path / "without")


def test_sentences_of_a_sweep() -> None:
    said = statements(make_sweep(SIZES), Naming("image", "text"))
    assert said[0].startswith("Recommended: n = 64, k = 4: 60 % of its features")
    assert said[2] == (
        "The mean share found again is 70\u00a0% at k = 4 and 10\u00a0% at k = 32; "
        "65\u00a0% at n = 32 and 35\u00a0% at n = 64."
    )
    assert (
        "Of the published setting, n = d = 64 and k = 32, 10\u00a0% of the features are found again"
        in said[3]
    )
    assert "the least of all" in said[3]
    assert said[-1] == "A note."
    less = statements(make_sweep({(32, 4): (0.8, 0.5)}), Naming("image", "text"))
    assert any("is not among these sizes" in each for each in less)


@pytest.mark.parametrize("narrow", [True, False])
def test_the_figure_has_a_point_a_size(narrow: bool) -> None:
    with drawing():
        first, second = pareto(make_sweep(SIZES), narrow=narrow).axes
        assert {each.get_text() for each in first.texts} == {"32/4", "64/4", "64/32", "32/8"}
        assert {each.get_text() for each in second.texts} == {"n 32", "n 64"}


def test_every_size_stands_beside_a_dictionary_of_random_rows(data: ReportData, tmp_path: Path) -> None:
    sweep = make_sweep(SIZES, mono=0.4)
    page = quick_page(dataclasses.replace(data, sweep=sweep), tmp_path)
    assert Part(page, "sweep").text.count("frozen decoder 100.0\u00a0%") == 2 * len(SIZES)
    (said,) = (each for each in statements(sweep, Naming("image", "text")) if "random directions has" in each)
    assert "100.0\u00a0% of the held-out variance unexplained (trained: 40.0\u00a0%)" in said
    older = dataclasses.replace(sweep, table=sweep.table.assign(**dict.fromkeys(BESIDE, float("nan"))))
    page = quick_page(dataclasses.replace(data, sweep=older), tmp_path / "older")
    assert "frozen decoder 1" not in page
    assert not any("random directions has" in each for each in statements(older, Naming("image", "text")))
