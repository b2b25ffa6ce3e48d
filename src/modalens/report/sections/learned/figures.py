"""Figures of learned features: their scores beside the embeddings', and how training went."""

from typing import TYPE_CHECKING

from modalens.dominance.classes import moments
from modalens.report.charts import ScoreSet, draw_histogram, new_figure, score_axis, shortened
from modalens.report.data import ReportData
from modalens.report.naming import Naming, number, percent
from modalens.report.palette import colour
from modalens.report.sections.learned.tables import RAW, find, names, scores_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def score_grid(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Histograms of R: a row for each encoder, a column for its own features and each kind learned on it.

    As Figure 3 of *Multi-Faceted Monosemanticity* (Yan et al. 2025), beside its baselines.
    """
    columns = [RAW, *names(data)]
    encoders = [
        each for each in data.encoders if scores_of(each, RAW, data.estimator) is not None or each.learned
    ]
    figure = new_figure(narrow, 0.5 + (1.25 if narrow else 1.75) * len(encoders))
    grid = figure.subplots(len(encoders), len(columns), sharex=True, squeeze=False)
    for row, encoder in enumerate(encoders):
        for column, name in enumerate(columns):
            axes = grid[row, column]
            scores = scores_of(encoder, name, data.estimator)
            if scores is None:
                axes.set_visible(False)
                continue
            shown = ScoreSet(name, scores.score, scores.rule)
            tallest = draw_histogram(axes, shown, bins=25 if narrow else 40, share=True)
            axes.set_ylim(0, 1.12 * (tallest or 1.0))
            axes.set_yticks([tallest], [percent(tallest)])
            axes.tick_params(axis="y", labelsize=8, pad=1)
            axes.grid(axis="y")
            score_axis(
                axes, naming, label=row == len(encoders) - 1 and column == len(columns) // 2, short=True
            )
            if narrow:
                axes.set_xticks((0, 0.5, 1), ("0", ".5", "1"))
            below = [scores_of(each, name, data.estimator) for each in encoders[row + 1 :]]
            axes.tick_params(labelbottom=all(found is None for found in below))
            if row == 0:
                axes.annotate(
                    name,
                    (0, 1),
                    (0, 20),
                    xycoords="axes fraction",
                    textcoords="offset points",
                    fontweight="bold",
                )
            if column == 0:
                axes.set_title(shortened(encoder.name, 20 if narrow else 34), fontsize=9, color=colour("ink"))
            else:
                spread = f"σ {number(float(moments(scores.score)[1]))}"
                axes.set_title(spread, loc="right", fontsize=8, color=colour("muted"))
    return figure


def training(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Active features over training, for each modality: the main encoder in strong lines, its twins in thin ones.

    As Figures 11 and 12 of *Multi-Faceted Monosemanticity* (Yan et al. 2025).
    """
    kinds = [each for each in data.main.learned if each.log]
    columns = 1 if narrow else len(kinds)
    figure = new_figure(narrow, 0.4 + 2.9 * (len(kinds) // columns))
    grid = figure.subplots(len(kinds) // columns, columns, squeeze=False)
    for axes, kind in zip(grid.flat, kinds, strict=True):
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
        axes.set_title(f"{kind.name}: active features", fontweight="bold")
        axes.set_xlabel("steps")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.grid(axis="y")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.4)
    return figure
