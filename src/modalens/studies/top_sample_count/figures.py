"""Mono of every representation over m."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modalens.pairs.modality import many
from modalens.studies.figure import Canvas, Results, StudyFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("ink", "first", "second", "cross", "muted")


def mono_by_m(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """Mean Mono over m with its interval, a panel for each modality and a line for each representation."""
    del others
    table = next(iter(own.values())).tables["by_m"].query("metric == 'mono' and quantity == 'mean'")
    names = list(dict.fromkeys(table["features"]))
    figure = canvas.new_figure(4.6 if canvas.narrow else 3.0)
    panels = figure.subplots(*((2, 1) if canvas.narrow else (1, 2)), sharex=True, squeeze=False)
    for axes, modality in zip(panels.flat, modalities, strict=True):
        for place, name in enumerate(names):
            line = table.query("features == @name and modality == @modality")
            colour = canvas.colour(_COLOURS[place % len(_COLOURS)])
            style = "-" if place < len(_COLOURS) else "--"
            axes.fill_between(
                line["m"], line["value_low"], line["value_high"], color=colour, alpha=0.14, linewidth=0
            )
            axes.plot(line["m"], line["value"], style, color=colour, marker="o", markersize=3, label=name)
            axes.plot(line["m"], line["chance"], ":", color=colour, linewidth=0.9)
        axes.set_title(f"Mono on {many(modality)}", fontweight="bold", fontsize=10)
        axes.set_xlabel("m")
        axes.grid(axis="y")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=1 if canvas.narrow else 4)
    return figure


FIGURES = (
    StudyFigure(
        "mono_by_m",
        "Lines of mean Mono over the number of strongest samples; the numbers are in tables/top-m_by_m.csv.",
        "Mean Mono of live features against m, the number of strongest samples that are compared. Bands: 95 % "
        "intervals over samples. Dotted: random samples. Lines that cross are a ranking that hangs on m.",
        lambda result: "by_m" in result.tables,
        mono_by_m,
    ),
)
