"""The curves of closing the gap show what the study's table says, for every representation."""

import dataclasses

import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.report import ReportData, StudyOf
from modalens.report.rendering import drawing
from modalens.report.sections.studies import sections
from modalens.studies.gap_closing.study import close_gap
from modalens.studies.result import StudyResult


@pytest.fixture(scope="module")
def result() -> StudyResult:
    rng = np.random.default_rng(0)
    shared = rng.exponential(1.0, (60, 24))
    image, text = (shared + rng.exponential(0.3, shared.shape) for _ in range(2))
    image[:, :6] *= 4
    text[:, 6:10] *= 4
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    return close_gap(image, text, mds, draws=5)


def with_studies(data: ReportData, result: StudyResult) -> ReportData:
    twin = next(each.name for each in data.encoders if each is not data.main)
    studies = [
        StudyOf("Raw", data.main.name, result),
        StudyOf("SAE", data.main.name, result),
        StudyOf("Raw", twin, result),
        StudyOf("NCL", data.main.name, StudyResult("close-gap", "Closing the gap", {}, ["Not studied."], {})),
    ]
    return dataclasses.replace(data, studies=studies)


@pytest.mark.parametrize("narrow", [False, True])
def test_the_curves_are_those_of_the_table(data: ReportData, result: StudyResult, narrow: bool) -> None:
    shown = with_studies(data, result)
    (section,) = sections(shown)
    (curves,) = section.drawings
    assert curves.name == "close_gap"
    assert "from image to text" in section.values["captions"]["close_gap"]
    with drawing():
        figure = curves.draw(narrow)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert set(panels) == {"Raw: RMG", "Raw: R@10", "SAE: RMG", "SAE: R@10"}
    table = result.tables["curve"]
    for title, axes in panels.items():
        measure = "rmg" if title.endswith("RMG") else "recall_10_image_to_text"
        lines = {line.get_label(): line for line in axes.lines}
        for kind, label in (
            ("one-sided first", "one-sided first"),
            ("random, equal count", "random, as many"),
        ):
            rows = table[table["kind"] == kind]
            assert np.array_equal(lines[label].get_ydata(), rows[measure])
            own = table[table["kind"] == "one-sided first"]["removed"] / result.config["live_features"]
            assert np.array_equal(lines[label].get_xdata(), own)
        twins = [line for line in axes.lines if line.get_alpha() == 0.4]
        assert len(twins) == (1 if title.startswith("Raw") else 0)


def test_without_its_curve_there_is_no_figure(data: ReportData, result: StudyResult) -> None:
    bare = StudyResult("close-gap", "Closing the gap", {}, ["Not studied."], {})
    twin = next(each.name for each in data.encoders if each is not data.main)
    for studies in ([StudyOf("Raw", data.main.name, bare)], [StudyOf("Raw", twin, result)]):
        (section,) = sections(dataclasses.replace(data, studies=studies))
        assert not section.drawings
    assert not sections(data)
