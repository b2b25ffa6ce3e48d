"""Measures against how far the gap is closed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modalens.studies.figure import Canvas, Results, StudyFigure
from modalens.studies.gap_validation.measures import L2M, RMG, SIDED, SPREAD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {L2M: "L2M", RMG: "RMG", SPREAD: "spread of R", SIDED["twofold"]: "one-sided, twofold"}
_COLOURS = {"swap": "muted", "mean": "first", "shift": "second", "moments": "cross"}


def measures_by_level(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """A panel for each measure, a line for each means of closing the gap."""
    del others, modalities
    result = next(iter(own.values()))
    table, following = result.tables["levels"], result.tables["following"]
    columns = 1 if canvas.narrow else 2
    figure = canvas.new_figure(2.4 * len(_PANELS) / columns + 0.5)
    panels = figure.subplots(len(_PANELS) // columns, columns, squeeze=False)
    for axes, (measure, title) in zip(panels.flat, _PANELS.items(), strict=True):
        for move, role in _COLOURS.items():
            line, colour = table[table["move"] == move], canvas.colour(role)
            ends = (line[f"{measure}_low"], line[f"{measure}_high"])
            axes.fill_between(line["closed"], *ends, color=colour, alpha=0.14, linewidth=0)
            axes.plot(line["closed"], line[measure], color=colour, marker="o", markersize=3, label=move)
        floor = following.loc[following["measure"] == measure, "floor"].iloc[0]
        axes.axhline(floor, color=canvas.colour("line"), linestyle=":")
        axes.set_title(title, fontweight="bold", fontsize=10)
        axes.set_xlabel("share of the gap that is closed")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.4)
    return figure


FIGURES = (
    StudyFigure(
        "measures_by_level",
        "Lines of four measures over the share of the gap that is closed; numbers in tables/known-gap_levels.csv.",
        "Measures of the gap against how far it is closed by known means. Bands: 95 % intervals over pairs. Dotted: "
        "the sides of half of the pairs exchanged, which is no gap.",
        lambda result: "levels" in result.tables,
        measures_by_level,
    ),
)
