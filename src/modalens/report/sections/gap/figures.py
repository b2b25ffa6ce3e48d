"""The gap between the modalities as a figure: dots and intervals beside swapped labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modalens.report.charts import new_figure, shortened
from modalens.report.data import EncoderResult
from modalens.report.naming import METRICS
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What a blind guess gives; the published L2M stands in the table alone, since it shares its interval with the unbiased.
_CHANCE = {"l2m_unbiased": None, "l2i": None, "rmg": 0.5, "separability": 0.5}


def gap(encoders: Sequence[EncoderResult], *, narrow: bool = False) -> "Figure":
    """Dot and 95 % interval of each gap measure, one row per encoder; hollow: its labels swapped."""
    columns = 1 if narrow else 2
    per_panel = 0.6 + 0.3 * len(encoders)
    figure = new_figure(narrow, 0.25 + per_panel * len(_CHANCE) / columns)
    grid = figure.subplots(len(_CHANCE) // columns, columns, sharey=True, squeeze=False)
    rows = np.arange(len(encoders))
    for axes, (metric, chance) in zip(grid.flat, _CHANCE.items(), strict=True):
        for row, encoder in zip(rows, encoders, strict=True):
            strong = colour("ink") if row == 0 else colour("muted")
            low, high = encoder.gap.intervals.get(metric, (np.nan, np.nan))
            mean, null_low, null_high = encoder.gap.null.get(metric, (np.nan,) * 3)
            axes.plot((null_low, null_high), (row, row), color=colour("cross"), linewidth=1.5)
            axes.plot(
                mean,
                row,
                "o",
                markersize=5.5,
                markerfacecolor=colour("paper"),
                markeredgecolor=colour("cross"),
                markeredgewidth=1.5,
            )
            axes.plot((low, high), (row, row), color=strong, linewidth=2.5, solid_capstyle="butt")
            axes.plot(getattr(encoder.gap, metric), row, "o", markersize=7.5, color=strong)
        if chance is not None:
            axes.axvline(chance, color=colour("line"), linewidth=1.2, linestyle=(0, (3, 3)), zorder=0)
        axes.set_title(METRICS[metric], fontweight="bold")
        axes.set_yticks(rows, [shortened(encoder.name, 24) for encoder in encoders])
        axes.set_ylim(len(encoders) - 0.5, -0.5)
        axes.grid(axis="x", linewidth=0.5)
        axes.spines["bottom"].set_visible(False)
        left, right = axes.get_xlim()
        axes.set_xlim(min(0.45 if metric == "separability" else 0.0, left), right)
    return figure
