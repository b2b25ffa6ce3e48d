"""Figures of how interpretable features are."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from modalens.report import ReportData
from modalens.report.naming import Naming
from modalens.report.sections.meaning import tables as meaning
from modalens.report.sections.meaning.figures import along_training, bars, mono
from tests.report.meanings import negative, only, unscored


@pytest.mark.parametrize("narrow", [False, True])
def test_dots_are_the_averages(meant: ReportData, narrow: bool) -> None:
    figure = mono(meant, Naming(*meant.modalities), narrow=narrow)
    titles = [axes.get_title("left") or axes.get_title() for axes in figure.axes]
    assert titles == [f"{kind}\n{side}s" for kind in ("Raw", "SAE") for side in ("image", "text")]
    for axes, title in zip(figure.axes, titles, strict=True):
        kind, side = title.removesuffix("s").split("\n")
        expected = []
        for encoder in (meant.main, meant.baselines[0]):
            found = meaning.find(encoder, kind)
            if found is not None:
                expected += [
                    found.fidelity.average("mono", side, label) for label in ("image", "cross", "text")
                ]
        dots = [line for line in axes.lines if line.get_marker() == "o" and line.get_markersize() == 6]
        hollow = [line for line in axes.lines if line.get_marker() == "o" and line.get_markersize() == 4]
        spans = [line for line in axes.lines if line.get_marker() != "o"]
        for shown, values in (
            (dots, [(each.mean,) for each in expected]),
            (hollow, [(each.chance,) for each in expected]),
            (spans, [(each.low, each.high) for each in expected]),
        ):
            np.testing.assert_array_equal([line.get_xdata() for line in shown], values)
        assert (axes.get_xlim()[0] == 0) == (np.nanmin([(each.low, each.chance) for each in expected]) >= 0)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["Main", "Untrained twin"]  # the twin without interpretations has no row


def test_many_kinds_of_features_break_into_rows(meant: ReportData) -> None:
    found = [dataclasses.replace(meant.main.interpreted[0], name=f"kind {number}") for number in range(4)]
    axes = mono(only(meant, *found), Naming(*meant.modalities)).axes
    assert [each.get_visible() for each in axes] == 8 * [True] + 4 * [False]


def test_what_is_under_zero_is_in_sight(meant: ReportData) -> None:
    data = only(meant, negative(meant.main.interpreted[1]))
    for axes in mono(data, Naming("image", "text")).axes:
        assert axes.get_xlim()[0] < -0.7
    for axes in along_training(data, Naming("image", "text")).axes:
        assert axes.get_ylim()[0] < -0.7


def test_features_without_scores_leave_a_panel_empty(meant: ReportData, tmp_path: Path) -> None:
    figure = mono(only(meant, unscored(meant.main.interpreted[1])), Naming("image", "text"))
    assert figure.axes[1].get_xlim()[0] == 0
    figure.savefig(tmp_path / "mono.png")


def test_bars_are_the_averages_and_the_fidelities(meant: ReportData) -> None:
    averages, fidelities = bars(meant, Naming(*meant.modalities)).axes
    rows = [found.fidelity for _, _, found in meaning.interpreted(meant)]
    for axes, numbers in (
        (averages, [each.average("mono", side).mean for each in rows for side in ("image", "text")]),
        (fidelities, [each.fidelity("mono", side).value for each in rows for side in ("image", "text")]),
    ):
        drawn = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
        np.testing.assert_array_equal(drawn, numbers)
    names = [label.get_text() for label in averages.get_yticklabels()]
    assert names == ["Raw, Main", "SAE, Main", "SAE, Untrained twin"]


def test_lines_follow_the_training(meant: ReportData) -> None:
    assert meaning.trained(meant) == ["SAE"]
    axes, other = along_training(meant, Naming(*meant.modalities)).axes
    titles = [each.get_title("left") or each.get_title() for each in (axes, other)]
    assert titles == ["SAE: EmbSim along training", "SAE: WinRate along training"]
    strong = {line.get_label(): line for line in axes.lines if line.get_linewidth() == 2.4}
    assert set(strong) == {"on images", "on texts"}
    for place, side in enumerate(("images", "texts")):
        line = strong[f"on {side}"]
        assert line.get_xdata().tolist() == [1, 2, 3]
        np.testing.assert_allclose(line.get_ydata(), [0.1 + place, 0.2 + place, 0.3 + place])
    thin = [line.get_xdata().tolist() for line in axes.lines if line.get_linewidth() == 1.0]
    assert thin == [[1, 2]] * 2
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert [set(line.get_ydata()) for line in dotted] == [{0.2}] * 2
