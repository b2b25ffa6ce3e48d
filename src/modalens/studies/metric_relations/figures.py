"""The correlations of all metrics, and dominance beside the Shapley share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modalens.pairs.modality import many
from modalens.statistics.controls import LEVEL
from modalens.studies.figure import Canvas, Results, StudyFigure, without_dictionary_baselines
from modalens.studies.result import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_PANELS = 3


def correlation_map(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """Heat map of Spearman's correlations; those not told from 0 are left pale."""
    from matplotlib.colors import LinearSegmentedColormap

    del others, modalities
    name, result = list(without_dictionary_baselines(own).items())[-1]
    table = result.tables["correlations"]
    table = table[table["spearman"].notna()]
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    names = [each for each in result.tables["features"].columns[2:] if each in names]
    value, told = np.full((2, len(names), len(names)), np.nan)
    for row in table.to_dict("records"):
        a, b = names.index(row["first"]), names.index(row["second"])
        value[a, b] = value[b, a] = row["spearman"]
        told[a, b] = told[b, a] = row["q"] < LEVEL
    figure = canvas.new_figure(7.0 if canvas.narrow else 7.4)
    axes = figure.subplots()
    colours = [canvas.colour("second"), canvas.colour("paper"), canvas.colour("first")]
    shown = axes.imshow(
        value, cmap=LinearSegmentedColormap.from_list("sides", colours), vmin=-1, vmax=1, aspect="auto"
    )
    size = 5 if canvas.narrow else 7
    for a in range(len(names)):
        for b in range(len(names)):
            if a != b and not np.isnan(value[a, b]):
                ink = canvas.colour("ink" if told[a, b] else "muted")
                number = "" if canvas.narrow else f"{value[a, b]:.2f}".replace("0.", ".")
                text = number if told[a, b] else "·"
                axes.text(b, a, text, ha="center", va="center", fontsize=size, color=ink)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=size + 1)
    axes.set_yticks(range(len(names)), names, fontsize=size + 1)
    axes.set_title(name, fontweight="bold", fontsize=10)
    where = "bottom" if canvas.narrow else "right"
    figure.colorbar(shown, ax=axes, label="Spearman's correlation", shrink=0.6, location=where)
    return figure


def dominance_and_share(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """Every feature by R and by the Shapley share, a panel a representation."""
    del others
    own = dict(list(without_dictionary_baselines(own).items())[:_PANELS])
    roles = {modalities[0]: "first", modalities[1]: "second", "cross": "cross"}
    figure = canvas.new_figure(3.4 * len(own) if canvas.narrow else 3.6)
    shares = pd.concat(
        [each.tables["features"][_share_column(each.tables["features"])] for each in own.values()]
    )
    low, high = np.nanquantile(shares, [0.01, 0.99])
    room = 0.1 * max(high - low, 0.02)
    shape = (len(own), 1) if canvas.narrow else (1, len(own))
    panels = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    for axes, (name, result) in zip(panels.flat, own.items(), strict=True):
        features = result.tables["features"]
        share = _share_column(features)
        for label, rows in features.groupby("class"):
            colour = canvas.colour(roles.get(str(label), "muted"))
            axes.scatter(
                rows["dominance R"], rows[share], s=7, alpha=0.6, linewidth=0, color=colour, label=label
            )
        axes.axhline(0.5, color=canvas.colour("line"), linewidth=1, zorder=0)
        axes.axvline(0.5, color=canvas.colour("line"), linewidth=1, zorder=0)
        axes.set(xlim=(0, 1), ylim=(low - room, high + room), xlabel="dominance R", title=name)
    panels[0, 0].set_ylabel(f"Shapley share of {many(modalities[0])}")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return figure


def _share_column(features: pd.DataFrame) -> str:
    return next(name for name in features.columns if name.startswith("Shapley share"))


def _fits(result: StudyResult) -> bool:
    return "correlations" in result.tables and bool(result.tables["correlations"]["spearman"].notna().any())


FIGURES = (
    StudyFigure(
        "metric_correlations",
        "Heat map of the rank correlations of every two metrics over features; the numbers are in "
        "tables/metric-agreement_correlations.csv.",
        "Spearman's correlation of every two metrics over features; a dot where it is not told from 0 (q at least 0.05 "
        "over the table).",
        _fits,
        correlation_map,
    ),
    StudyFigure(
        "dominance_and_share",
        "Scatter of every feature's dominance score and Shapley share; the numbers are in "
        "tables/metric-agreement_features.csv.",
        "Each feature by its dominance R (which side is larger) and by the share of the {first} side in what moves the "
        "similarity of pairs (which side varies more for its size); the axis shows the middle 98 % of shares. "
        "Lines: half.",
        _fits,
        dominance_and_share,
    ),
)
