"""Monosemanticity by class and along training, as figures."""

from typing import TYPE_CHECKING

from modalens.report.charts import class_legend, new_figure, shortened
from modalens.report.data import ReportData
from modalens.report.naming import Naming
from modalens.report.palette import colour
from modalens.report.sections.meaning.tables import METRICS, find, interpreted, names, trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_KINDS_A_ROW = 3
_LONG = 10  # names over so many letters need wider panels


def mono(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Mean monosemanticity by class, one panel for each kind of features and modality, one row an encoder."""
    kinds = names(data)
    encoders = [each for each in data.encoders if each.interpreted]
    long = max(map(len, kinds)) > _LONG
    columns = 2 if narrow else 2 * min(len(kinds), _KINDS_A_ROW - long)
    rows = -(-2 * len(kinds) // columns)
    figure = new_figure(narrow, 0.6 + (0.75 + 0.5 * len(encoders)) * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    places = [(kind, side) for kind in kinds for side in data.modalities]
    for axes in grid.flat[len(places) :]:
        axes.set_visible(False)
    for axes, (kind, side) in zip(grid.flat, places, strict=False):
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
        axes.set_title(f"{kind}\n{naming.many(side)}", fontweight="bold", fontsize=10)
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


def bars(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Mono over all features, and fidelity, as bars with 95 % intervals: a row for each kind of features and encoder.

    As Figures 4 and 5 of *Beyond Cross-Modal Alignment*. Beside each bar what means nothing gives: random samples, and
    permuted classes.
    """
    rows = list(interpreted(data))
    figure = new_figure(narrow, 0.7 + (0.5 + 0.36 * len(rows)) * (2 if narrow else 1))
    grid = figure.subplots(2 if narrow else 1, 1 if narrow else 2, sharey=True, squeeze=False)
    for place, (_, _, found) in enumerate(rows):
        for shift, side, role in zip((-0.19, 0.19), data.modalities, ("first", "second"), strict=True):
            average, fidelity = found.fidelity.average("mono", side), found.fidelity.fidelity("mono", side)
            chance = (average.chance, average.chance)
            nothing = (fidelity.null_low, fidelity.null_high)
            ours = ((average.mean, average.low, average.high), (fidelity.value, fidelity.low, fidelity.high))
            for axes, (value, low, high), null in zip(grid.flat, ours, (chance, nothing), strict=True):
                axes.barh(
                    place + shift,
                    value,
                    0.34,
                    color=colour(role),
                    alpha=0.75,
                    label=_label(naming, role, place),
                )
                axes.plot((low, high), 2 * (place + shift,), color=colour("ink"), linewidth=1.4)
                axes.plot(null, 2 * (place + shift,), color=colour("paper"), linewidth=4.5)
                axes.plot(
                    null, 2 * (place + shift,), color=colour("muted"), linewidth=2.5, marker="|", markersize=5
                )
    for axes, title in zip(grid.flat, ("Mono, all features", "Fidelity by Mono"), strict=True):
        axes.set_title(title, fontweight="bold")
        names = [f"{kind}, {encoder.name}" for kind, encoder, _ in rows]
        axes.set_yticks(range(len(rows)), [shortened(name, 20 if narrow else 34) for name in names])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.axvline(0, color=colour("line"), linewidth=1.2, zorder=0)
        axes.grid(axis="x", linewidth=0.5)
        axes.spines["bottom"].set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.0)
    return figure


def _label(naming: Naming, role: str, place: int) -> str | None:
    return f"on {naming.many(naming.label(role))}" if place == 0 else None


def along_training(data: ReportData, naming: Naming, *, narrow: bool = False) -> "Figure":
    """Mean EmbSim and WinRate along training, with 95 % bands for the main encoder, thin lines for its twins.

    Dots are chance. As Figure A5 of *Beyond Cross-Modal Alignment*.
    """
    panels = [(kind, metric) for kind in trained(data) for metric in ("embsim", "winrate")]
    columns = 1 if narrow else 2
    figure = new_figure(narrow, 0.4 + 2.6 * (len(panels) // columns))
    grid = figure.subplots(len(panels) // columns, columns, squeeze=False)
    for axes, (kind, metric) in zip(grid.flat, panels, strict=True):
        for encoder in reversed(data.encoders):
            found = find(encoder, kind)
            if found is None or found.along is None or not len(found.along):
                continue
            main = encoder is data.main
            for side, role in zip(data.modalities, ("first", "second"), strict=True):
                along = found.along
                rows = along[(along["modality"] == side) & (along["metric"] == metric)]
                shade = colour(role)
                if main:
                    axes.fill_between(
                        rows["step"], rows["low"], rows["high"], color=shade, alpha=0.2, linewidth=0
                    )
                    axes.plot(rows["step"], rows["chance"], ":", color=shade, linewidth=1.5)
                axes.plot(
                    rows["step"],
                    rows["value"],
                    color=shade,
                    linewidth=2.4 if main else 1.0,
                    alpha=1.0 if main else 0.45,
                    label=f"on {naming.many(naming.label(role))}" if main else None,
                )
        axes.set_title(f"{kind}: {METRICS[metric]} along training", fontweight="bold")
        axes.set_xlabel("steps")
        if axes.dataLim.y0 >= 0:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.4)
    return figure
