"""Scores by one estimator against those by the others."""

from typing import TYPE_CHECKING

import numpy as np

from modalens.dominance.rules import class_codes
from modalens.report.charts import WIDE, class_legend, evenly, new_figure
from modalens.report.data import EncoderResult
from modalens.report.naming import ROLES, Naming
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_POINTS = 3000


def estimators(encoder: EncoderResult, reference: str, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Scatter of every other estimator's score against the reference's, coloured by the reference's class."""
    others = [name for name in encoder.estimators if name != reference]
    base = encoder.scores(reference)
    columns = 1 if narrow else len(others)
    figure = new_figure(narrow, 3.8 * len(others) if narrow else 5.0)
    if not narrow and len(others) == 1:
        figure.set_figwidth(WIDE / 2)
    grid = figure.subplots(len(others) // columns, columns, squeeze=False)
    for axes, name in zip(grid.flat, others, strict=True):
        other = encoder.scores(name)
        if base is None or other is None:
            continue
        live = np.flatnonzero(~np.isnan(base.score) & ~np.isnan(other.score))
        codes = class_codes(base.score, base.rule)
        shown = evenly(live[np.argsort(base.score[live], kind="stable")], MAX_POINTS)
        axes.plot((0, 1), (0, 1), color=colour("line"), linewidth=1.2, zorder=0)
        for code, role in enumerate(ROLES[:3]):
            points = shown[codes[shown] == code]
            axes.plot(
                base.score[points],
                other.score[points],
                "o",
                markersize=3.6,
                color=colour(role),
                markeredgecolor=colour("paper"),
                markeredgewidth=0.4,
            )
        axes.set_aspect("equal")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=reference, ylabel=name)
        axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
        axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
        axes.grid(linewidth=0.5)
    class_legend(figure, naming, dict.fromkeys(ROLES[:3]))
    return figure
