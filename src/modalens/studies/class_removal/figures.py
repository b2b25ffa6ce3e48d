"""What accuracy loses against the number of removed features."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modalens.pairs.modality import many
from modalens.studies.class_removal.curves import CLASS, EQUAL_ENERGY, RANDOM
from modalens.studies.figure import Canvas, Results, StudyFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]


def drop_by_number(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """A row for each representation, a panel for each modality that is read, a line for each class."""
    del others
    shown = {name: result.tables["curves"] for name, result in own.items() if "curves" in result.tables}
    columns = 1 if canvas.narrow else 2
    figure = canvas.new_figure(0.5 + 2.5 * len(shown) * (2 // columns))
    panels = iter(figure.subplots(2 * len(shown) // columns, columns, squeeze=False).flat)
    first, second = modalities
    colours = {first: "first", "cross": "cross", second: "second"}
    for name, table in shown.items():
        for modality, axes in zip(modalities, panels, strict=False):
            rows = table[table["modality"] == modality]
            for label, role in colours.items():
                for kind, style in ((CLASS, "-"), (EQUAL_ENERGY, ":")):
                    line = rows[(rows["without"] == label) & (rows["kind"] == kind)]
                    said = label if kind == CLASS else None
                    axes.plot(line["removed"], line["drop"], style, color=canvas.colour(role), label=said)
                    if kind == CLASS:
                        ends = (line["drop_low"], line["drop_high"])
                        axes.fill_between(
                            line["removed"], *ends, color=canvas.colour(role), alpha=0.14, linewidth=0
                        )
            line = rows[rows["kind"] == RANDOM]
            axes.plot(line["removed"], line["drop"], "--", color=canvas.colour("muted"), label=RANDOM)
            axes.set_xscale("log")
            ticks = [each for each in _TICKS if rows["removed"].min() <= each <= rows["removed"].max()]
            axes.set_xticks(ticks, [f"{each:,}" for each in ticks])
            axes.minorticks_off()
            axes.set_title(f"{name}: {many(modality)}", fontweight="bold", fontsize=10)
            axes.set_xlabel("removed features")
            if canvas.narrow or modality == first:
                axes.set_ylabel("accuracy lost")
            axes.grid(axis="y")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(handles), handlelength=1.4)
    return figure


FIGURES = (
    StudyFigure(
        "drop_by_number",
        "Lines of lost accuracy over the number of removed features; the numbers are in tables/removal_curves.csv.",
        "What a classifier of {firsts} and one of {seconds} lose, against the number of removed features of one class. "
        "Bands: 95 % intervals over test pairs. Dashed: random features. Dotted: random features of equal energy.",
        lambda result: len(result.tables.get("curves", ())) > 0,
        drop_by_number,
    ),
)
