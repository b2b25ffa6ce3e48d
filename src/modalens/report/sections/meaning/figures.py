"""Monosemanticity by class and along training, as figures."""

from typing import TYPE_CHECKING

from modalens.report.charts import class_legend, new_figure, shortened
from modalens.report.data import ReportData
from modalens.report.naming import Naming
from modalens.report.palette import colour
from modalens.report.sections.meaning.tables import find, names, trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def mono(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Mean monosemanticity by class, one panel for each kind of features and modality, one row an encoder."""
    kinds = names(data)
    encoders = [each for each in data.encoders if each.interpreted]
    columns = 2 if narrow else 2 * len(kinds)
    figure = new_figure(narrow, 0.6 + (0.55 + 0.5 * len(encoders)) * (2 * len(kinds) // columns))
    grid = figure.subplots(2 * len(kinds) // columns, columns, sharey=True, squeeze=False)
    places = [(kind, side) for kind in kinds for side in data.modalities]
    for axes, (kind, side) in zip(grid.flat, places, strict=True):
        for row, encoder in enumerate(encoders):
            if (found := find(encoder, kind)) is None:
                continue
            for shift, role in zip((-0.22, 0.0, 0.22), ("first", "cross", "second"), strict=True):
                average = found.fidelity.average("mono", side, naming.label(role))
                place = row + shift
                axes.plot((average.low, average.high), (place, place), color=colour(role), linewidth=2)
                axes.plot(
                    average.chance,
                    place,
                    "o",
                    markersize=4,
                    markerfacecolor=colour("paper"),
                    markeredgecolor=colour(role),
                    markeredgewidth=1,
                )
                axes.plot(average.mean, place, "o", markersize=6, color=colour(role))
        axes.set_title(f"{kind}, {naming.many(side)}", fontweight="bold", fontsize=10)
        axes.set_yticks(
            range(len(encoders)), [shortened(each.name, 14 if narrow else 24) for each in encoders]
        )
        axes.set_ylim(len(encoders) - 0.5, -0.5)
        if axes.dataLim.x0 >= 0:  # EmbSim, and Mono with it, may be negative
            axes.set_xlim(left=0)
        axes.grid(axis="x", linewidth=0.5)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines["bottom"].set_visible(False)
    class_legend(figure, naming, dict.fromkeys(("first", "cross", "second")))
    return figure


def mono_along_training(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Mean Mono along training, with 95 % bands for the main encoder, thin lines for its twins, dots for chance.

    As Figure 13 of *Multi-Faceted Monosemanticity* (Yan et al. 2025).
    """
    kinds = trained(data)
    columns = 1 if narrow else len(kinds)
    figure = new_figure(narrow, 0.4 + 2.9 * (len(kinds) // columns))
    grid = figure.subplots(len(kinds) // columns, columns, squeeze=False)
    for axes, kind in zip(grid.flat, kinds, strict=True):
        for encoder in reversed(data.encoders):
            found = find(encoder, kind)
            if found is None or found.along is None or not len(found.along):
                continue
            main = encoder is data.main
            for side, role in zip(data.modalities, ("first", "second"), strict=True):
                rows = found.along[found.along["modality"] == side]
                shade = colour(role)
                if main:
                    axes.fill_between(
                        rows["step"], rows["low"], rows["high"], color=shade, alpha=0.2, linewidth=0
                    )
                    axes.plot(rows["step"], rows["chance"], ":", color=shade, linewidth=1.5)
                axes.plot(
                    rows["step"],
                    rows["mono"],
                    color=shade,
                    linewidth=2.4 if main else 1.0,
                    alpha=1.0 if main else 0.45,
                    label=f"on {naming.many(naming.label(role))}" if main else None,
                )
        axes.set_title(f"{kind}: Mono along training", fontweight="bold")
        axes.set_xlabel("steps")
        if axes.dataLim.y0 >= 0:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.4)
    return figure
