"""Class counts as stacked bars."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modalens.dominance import RULES, Dominance
from modalens.report.charts import class_legend, new_figure, shortened
from modalens.report.naming import NULL_NAME, ROLES, Naming, count, percent
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def class_counts(sets: Sequence[tuple[str, Dominance]], naming: Naming, *, narrow: bool = False) -> "Figure":
    """Share of features in each class by encoder, for every rule, with 95 % intervals of the two outer ones."""
    main = sets[0][1]
    names = [name for name, _ in sets] + ([NULL_NAME] if main.null is not None else [])
    columns = 1 if narrow else len(RULES)
    figure = new_figure(narrow, 0.5 + (0.55 + 0.36 * len(names)) * len(RULES) / columns)
    grid = figure.subplots(len(RULES) // columns, columns, sharex=True, sharey=True, squeeze=False)
    for axes, rule in zip(grid.flat, RULES, strict=True):
        for row in range(len(names)):
            if row < len(sets):
                scores = sets[row][1]
                _stacked_bar(axes, row, scores.counts(rule), scores.count_intervals(rule), naming)
            elif main.null is not None:
                _stacked_bar(axes, row, main.null.class_counts[rule], {}, naming)
        axes.set_title(rule, fontweight="bold")
        axes.set_yticks(range(len(names)), [shortened(name, 24) for name in names])
        axes.set_ylim(len(names) - 0.45, -0.55)
        axes.set_xlim(0, 1)
        axes.set_xticks((0, 0.25, 0.5, 0.75, 1), [percent(x) for x in (0, 0.25, 0.5, 0.75, 1)])
        axes.spines["bottom"].set_visible(False)
    shown = [role for role in ROLES if role != "dead" or any(s.counts()["dead"] for _, s in sets)]
    class_legend(figure, naming, dict.fromkeys(shown))
    return figure


def _stacked_bar(
    axes: "Axes",
    row: int,
    counts: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    naming: Naming,
) -> None:
    total = sum(counts.values())
    left = 0.0
    for role in ROLES:
        label = naming.label(role)
        share = counts[label] / total
        axes.barh(
            row,
            share,
            0.62,
            left,
            color=colour(role),
            edgecolor=colour("paper"),
            linewidth=0.8,
            hatch="////" if role == "dead" else None,
        )
        if share > 0.09:
            # Ink on grey, paper on colour: readable on every segment in both themes.
            shade = colour("ink") if role in ("cross", "dead") else colour("paper")
            axes.text(
                left + share / 2, row, count(counts[label]), ha="center", va="center", fontsize=9, color=shade
            )
        left += share
    alive = left - counts["dead"] / total
    for role, sign, origin in (("second", 1, 0.0), ("first", -1, alive)):
        low, high = intervals.get(naming.label(role), (np.nan, np.nan))
        if np.isfinite(low) and high > low:
            ends = (origin + sign * low / total, origin + sign * high / total)
            axes.plot(ends, (row, row), color=colour("ink"), linewidth=1.4, marker="|", markersize=6)
