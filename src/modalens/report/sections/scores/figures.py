"""How scores spread, as histograms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modalens.dominance import RULES, Dominance
from modalens.dominance.classes import moments
from modalens.report.charts import ScoreSet, class_legend, draw_histogram, new_figure, score_axis, shortened
from modalens.report.naming import NULL_NAME, ROLES, Naming, number, percent
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def distribution(scores: Dominance, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Histogram of the score, coloured by class, with the mean and the class bounds.

    As Figure 3 of *Multi-Faceted Monosemanticity* (Yan et al. 2025).
    """
    figure = new_figure(narrow, 3.5 if narrow else 4.4)
    axes = figure.subplots()
    shown = ScoreSet("", scores.score, scores.rule)
    draw_histogram(axes, shown, bins=40 if narrow else 80)
    axes.set_ylabel("features")
    axes.grid(axis="y")
    top = axes.get_ylim()[1] * 1.16
    axes.set_ylim(0, top)

    low, high = shown.bounds
    names = RULES[scores.rule].marks
    for x, name, side in ((low, names[0], "right"), (high, names[1], "left")):
        if not 0 <= x <= 1:
            continue
        axes.axvline(x, color=colour("ink"), linewidth=1, linestyle=(0, (3, 3)))
        gap = -5 if side == "right" else 5
        axes.annotate(
            f"{name} = {number(x)}",
            (x, top * 0.93),
            (gap, 0),
            textcoords="offset points",
            ha=side,
            fontsize=9,
            color=colour("muted"),
        )
    axes.axvline(scores.mean, color=colour("ink"), linewidth=1.2)
    axes.annotate(
        f"μ = {number(scores.mean)}",
        (scores.mean, 1),
        (0, 4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        fontsize=9,
    )
    score_axis(axes, naming, label=True)
    counts = scores.counts()
    class_legend(figure, naming, {role: counts[naming.label(role)] for role in ROLES})
    return figure


def baselines(sets: Sequence[ScoreSet], naming: Naming, *, narrow: bool = False) -> "Figure":
    """One small histogram for each set of scores, on the same axes: share of features by score."""
    columns = 1 if narrow else min(3, len(sets))
    rows = -(-len(sets) // columns)
    figure = new_figure(narrow, 0.5 + (1.55 if narrow else 2.2) * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    tallest = [
        draw_histogram(axes, shown, bins=50, share=True) for axes, shown in zip(grid.flat, sets, strict=False)
    ]
    # One needle-shaped histogram (swapped labels, mostly) must not flatten the others.
    ordinary = [peak for peak, shown in zip(tallest, sets, strict=True) if shown.name != NULL_NAME]
    ceiling = 1.1 * max(ordinary) or 1.0
    for index, axes in enumerate(grid.flat):
        if index >= len(sets):
            axes.set_visible(False)
            continue
        axes.set_ylim(0, ceiling)
        axes.grid(axis="y")
        axes.set_title(shortened(sets[index].name, 34), fontsize=10, color=colour("ink"))
        axes.yaxis.set_major_formatter(lambda value, _: percent(value))
        spread = f"σ {number(float(moments(sets[index].score)[1]))}"
        axes.set_title(spread, loc="right", fontsize=9, color=colour("muted"))
        if tallest[index] > ceiling:
            axes.text(
                0.99,
                0.97,
                f"up to {percent(tallest[index])}",
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=9,
                color=colour("muted"),
            )
        score_axis(axes, naming, label=index + columns >= len(sets), short=True)
        axes.tick_params(labelbottom=True)
    return figure
