"""Figures of learned features: their scores beside the embeddings', and how training went."""

from typing import TYPE_CHECKING

from modalens.dominance import Dominance
from modalens.dominance.classes import moments
from modalens.report.charts import NARROW, WIDE, ScoreSet, draw_histogram, new_figure, score_axis, shortened
from modalens.report.data import ReportData
from modalens.report.naming import Naming, number, percent
from modalens.report.palette import colour
from modalens.report.sections.learned.tables import RAW, find, names, scores_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS_A_ROW = {False: 5, True: 3}  # on a desk, on a phone


def score_grid(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Histograms of R: a row for each encoder, a column for its own features and each kind learned on it.

    As Figure 3 of *Multi-Faceted Monosemanticity* (Yan et al. 2025), beside its baselines.
    """
    found = [RAW, *names(data)]
    columns = -(-len(found) // -(-len(found) // _PANELS_A_ROW[narrow]))  # lines of equal length
    blocks = [found[start : start + columns] for start in range(0, len(found), columns)]
    encoders = [
        each for each in data.encoders if scores_of(each, RAW, data.estimator) is not None or each.learned
    ]
    height = (0.9 if len(blocks) > 1 else 0.5) + (1.35 if narrow else 1.75) * len(encoders)
    letters = int(10 * (NARROW if narrow else WIDE) / columns)  # layout gives a panel the width of its name
    figure = new_figure(narrow, height * len(blocks))
    grid = figure.subplots(len(encoders) * len(blocks), columns, sharex=True, squeeze=False)
    for place, axes in enumerate(grid.flat):
        line, column = divmod(place, columns)
        block, row = divmod(line, len(encoders))
        name = blocks[block][column] if column < len(blocks[block]) else ""
        column_of = [scores_of(each, name, data.estimator) if name else None for each in encoders]
        if (scores := column_of[row]) is None:
            axes.set_visible(False)
            continue
        _panel(axes, scores, naming, label=row == len(encoders) - 1 and column == columns // 2, narrow=narrow)
        axes.tick_params(labelbottom=all(each is None for each in column_of[row + 1 :]))
        if row == 0:
            axes.annotate(
                shortened(name, letters),
                (0, 1),
                (0, 20),
                xycoords="axes fraction",
                textcoords="offset points",
                fontweight="bold",
            )
        if column == 0:
            axes.set_title(encoders[row].name, fontsize=9, color=colour("ink"))
        else:
            spread = f"σ {number(float(moments(scores.score)[1]))}"
            axes.set_title(spread, loc="right", fontsize=8, color=colour("muted"))
    return figure


def _panel(axes: "Axes", scores: Dominance, naming: Naming, *, label: bool, narrow: bool) -> None:
    """The histogram of one set of scores."""
    shown = ScoreSet("", scores.score, scores.rule)
    tallest = draw_histogram(axes, shown, bins=25 if narrow else 40, share=True)
    axes.set_ylim(0, 1.12 * (tallest or 1.0))
    axes.set_yticks([tallest], [percent(tallest)])
    axes.tick_params(axis="y", labelsize=8, pad=1)
    axes.grid(axis="y")
    score_axis(axes, naming, label=label, short=True)
    if narrow:
        axes.set_xticks((0, 0.5, 1), ("0", ".5", "1"))


def training(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Active features over training, for each modality: the main encoder in strong lines, its twins in thin ones.

    As Figures 11 and 12 of *Multi-Faceted Monosemanticity* (Yan et al. 2025).
    """
    kinds = [each for each in data.main.learned if each.log]
    columns = 1 if narrow else min(3, len(kinds))
    rows = -(-len(kinds) // columns)
    figure = new_figure(narrow, 0.4 + 2.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(kinds) :]:
        axes.set_visible(False)
    for axes, kind in zip(grid.flat, kinds, strict=False):
        for encoder in reversed(data.encoders):
            found = find(encoder, kind.name)
            if found is None:
                continue
            main = encoder is data.main
            steps = [entry["step"] for entry in found.log]
            for side, role in (("image", "first"), ("text", "second")):
                counts = [entry["train"][f"active_{side}"] for entry in found.log]
                axes.plot(
                    steps,
                    counts,
                    color=colour(role),
                    linewidth=2.4 if main else 1.0,
                    alpha=1.0 if main else 0.45,
                    label=f"fire for {naming.many(naming.label(role))}" if main else None,
                )
        axes.set_title(kind.name, fontweight="bold")
        axes.set_ylabel("active features")
        axes.set_xlabel("steps")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.grid(axis="y")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.4)
    return figure
