"""The figures show the numbers, in the colours of the classes."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modalens.report import ReportData
from modalens.report.charts import evenly, score_sets
from modalens.report.naming import Naming
from modalens.report.palette import PALETTE, colour
from modalens.report.rendering import drawing, inline, save, to_svg
from modalens.report.sections.classes.figures import class_counts
from modalens.report.sections.estimators.figures import MAX_POINTS
from modalens.report.sections.gap.figures import gap
from modalens.report.sections.scores.figures import baselines, distribution

NAMING = Naming("image", "text")


def bars(axes) -> dict[str, float]:
    """Summed height of an axes' bars by class role."""
    from matplotlib.colors import to_hex

    total: dict[str, float] = {}
    roles = {colour(role): role for role in ("second", "cross", "first")}
    for patch in axes.patches:
        role = roles[to_hex(patch.get_facecolor())]
        total[role] = total.get(role, 0) + patch.get_height()
    return total


@pytest.mark.parametrize("narrow", [False, True])
def test_histogram_counts_every_feature_once(data: ReportData, narrow: bool) -> None:
    with drawing():
        figure = distribution(data.scores, NAMING, narrow=narrow)
    counts = data.scores.counts()
    expected = {"first": counts["image"], "cross": counts["cross"], "second": counts["text"]}
    assert bars(figure.axes[0]) == {role: number for role, number in expected.items() if number}
    lines = sorted(line.get_xdata()[0] for line in figure.axes[0].lines)
    scores = data.scores
    assert lines == pytest.approx([scores.mean - scores.std, scores.mean, scores.mean + scores.std])


def test_twofold_draws_its_own_bounds(data: ReportData) -> None:
    with drawing():
        figure = distribution(data.scores.with_rule("twofold"), NAMING)
    lines = sorted(line.get_xdata()[0] for line in figure.axes[0].lines)
    assert lines == pytest.approx(sorted([1 / 3, data.scores.mean, 2 / 3]))


def test_classes_in_one_bin_stand_on_each_other(data: ReportData) -> None:
    scores = replace(data.scores, score=np.array([0.664, 0.67, 0.67, 0.3]), rule="twofold")
    with drawing():
        figure = distribution(scores, NAMING)
    boxes: list[Any] = list(figure.axes[0].patches)
    (cross, image) = sorted((p for p in boxes if p.get_x() > 0.6), key=lambda p: p.get_y())
    assert cross.get_x() == image.get_x()
    assert (cross.get_y(), cross.get_height(), image.get_y(), image.get_height()) == (0, 1, 1, 2)


def test_small_multiples_share_axes_and_sum_to_one(data: ReportData) -> None:
    sets = score_sets(data.encoders, "mean_ratio")
    assert [each.name for each in sets] == ["Main", "Untrained twin", "Closed twin", "Labels swapped"]
    with drawing():
        figure = baselines(sets, NAMING)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in shown}) == 1
    for axes in shown:
        assert sum(bars(axes).values()) == pytest.approx(1)


def test_gap_dots_stand_at_the_values(data: ReportData) -> None:
    with drawing():
        figure = gap(data.encoders)
    for axes, metric in zip(figure.axes, ("l2m_unbiased", "l2i", "rmg", "separability"), strict=True):
        dots = {
            (float(line.get_xdata()[0]), int(line.get_ydata()[0]))
            for line in axes.lines
            if line.get_marker() == "o"
        }
        left, right = axes.get_xlim()
        for row, encoder in enumerate(data.encoders):
            value = getattr(encoder.gap, metric)
            assert (value, row) in dots
            assert left <= value <= right


def test_many_points_are_thinned_evenly() -> None:
    thinned = evenly(np.arange(20_000), MAX_POINTS)
    assert len(thinned) == MAX_POINTS
    assert (thinned[0], thinned[-1]) == (0, 19_999)
    assert np.diff(thinned).max() <= 7
    np.testing.assert_array_equal(evenly(np.arange(5), 10), np.arange(5))


def test_svg_and_png_hold_no_date_and_keep_formulas_as_text(tmp_path: Path, encoder) -> None:
    odd = encoder("$\\frac$ <b> 名前")
    with drawing():
        svg = save(gap([odd]), tmp_path, "gap")
    assert "$\\frac$ &lt;b&gt; 名前" in svg
    assert "<dc:date>" not in svg
    assert svg == (tmp_path / "gap.svg").read_text(encoding="utf-8")
    with Image.open(tmp_path / "gap.png") as image:
        assert image.width > 1200
        assert image.text == {}  # type: ignore[attr-defined]


def test_inline_svg_follows_the_theme_and_keeps_its_ids_apart(data: ReportData) -> None:
    with drawing():
        svg = to_svg(class_counts([(data.main.name, data.scores)], NAMING))
    first, second = inline(svg, "a"), inline(svg, "b")
    known = {light for light, _ in PALETTE.values()}
    assert not known & set(re.findall(r"(?:fill|stroke): (#\w{6})", first))
    assert "var(--first)" in first
    assert "<style" not in first
    assert "<?xml" not in first
    ids = [set(re.findall(r'\sid="([^"]+)"', each)) for each in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_palette_tells_classes_apart_without_colour_vision() -> None:
    """Simulated for red and green blindness (Machado et al. 2009), classes still differ clearly."""
    blindness = {
        "protan": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deutan": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }
    for theme in (0, 1):
        values = {
            role: np.array([int(PALETTE[role][theme][i : i + 2], 16) / 255 for i in (1, 3, 5)])
            for role in ("first", "second", "cross", "dead")
        }
        for matrix in blindness.values():
            seen = [np.array(matrix) @ (value**2.2) for value in values.values()]
            for i, a in enumerate(seen):
                for b in seen[:i]:
                    assert np.linalg.norm(np.clip(a, 0, 1) ** (1 / 2.2) - np.clip(b, 0, 1) ** (1 / 2.2)) > 0.2
