"""How many features count as one-sided as pairs are added."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modalens.studies.figure import Canvas, Results, StudyFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RULE = "twofold"


def counts_by_pairs(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """Class counts by twofold against the number of pairs, a panel for each representation of the main encoder."""
    colour = canvas.colour
    columns = 1 if canvas.narrow else min(3, len(own))
    rows = -(-len(own) // columns)
    figure = canvas.new_figure(0.5 + 2.3 * rows)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes in grid.flat[len(own) :]:
        axes.set_visible(False)
    for axes, (features, result) in zip(grid.flat, own.items(), strict=False):
        for role, side in zip(("first", "second"), modalities, strict=True):
            for twin in others:
                if features in twin and "by_pairs" in twin[features].tables:
                    line = twin[features].tables["by_pairs"].query("rule == @_RULE")
                    axes.plot(line["pairs"], line[side], color=colour(role), linewidth=0.8, alpha=0.45)
            line = result.tables["by_pairs"].query("rule == @_RULE")
            axes.fill_between(
                line["pairs"],
                line[f"{side}_low"],
                line[f"{side}_high"],
                color=colour(role),
                alpha=0.16,
                linewidth=0,
            )
            axes.plot(
                line["pairs"],
                line[side],
                color=colour(role),
                linewidth=2.2,
                marker="o",
                markersize=3.5,
                label=side,
            )
        axes.set_title(features, fontweight="bold", fontsize=10)
        axes.set_xscale("log")
        ends = sorted({line["pairs"].min(), line["pairs"].max()})
        axes.set_xticks(ends, [f"{pairs:,}" for pairs in ends])
        axes.set_xticks([], minor=True)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set_xlabel("pairs")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.4)
    return figure


FIGURES = (
    StudyFigure(
        "counts_by_pairs",
        "Lines of class counts as pairs are added; the numbers are in tables/stability_by_pairs.csv.",
        "Features that are {first}- or {second}-dominant by twofold, scored on growing parts of the pairs. Bands: 95 % "
        "intervals. Thin lines: the other encoders. A count that still moves at the right end needs more pairs.",
        lambda result: len(result.tables.get("by_pairs", ())) > 2,
        counts_by_pairs,
    ),
)
