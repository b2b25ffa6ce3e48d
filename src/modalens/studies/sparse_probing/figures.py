"""Accuracy of sparse probes against the number of features that they read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modalens.pairs.modality import many
from modalens.studies.figure import Canvas, Results, StudyFigure
from modalens.studies.sparse_probing.tables import EMBEDDING, PROBE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("ink", "first", "second", "cross", "muted")


def accuracy_by_k(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """Mean balanced accuracy over k with its interval, a panel for each modality and a line for each representation."""
    del others
    shown = {name: result.tables["means"] for name, result in own.items() if "means" in result.tables}
    figure = canvas.new_figure(5.2 if canvas.narrow else 3.4)
    panels = figure.subplots(*((2, 1) if canvas.narrow else (1, 2)), sharex=True, squeeze=False)
    for axes, modality in zip(panels.flat, modalities, strict=True):
        for place, (name, means) in enumerate(shown.items()):
            rows = means[means["modality"] == modality]
            line = rows[rows["measure"] == PROBE]
            colour = canvas.colour(_COLOURS[place % len(_COLOURS)])
            style = ("-", "--", "-.")[place // len(_COLOURS) % 3]
            axes.fill_between(
                line["k"], line["value_low"], line["value_high"], color=colour, alpha=0.14, linewidth=0
            )
            axes.plot(line["k"], line["value"], style, color=colour, marker="o", markersize=3, label=name)
            axes.plot(line["k"], line["random"], ":", color=colour, linewidth=0.9)
        first = next(iter(shown.values()))
        dense = first[(first["modality"] == modality) & (first["measure"] == EMBEDDING)]
        axes.axhline(float(dense["value"].iloc[0]), color=canvas.colour("line"), linewidth=1.2)
        axes.axhline(0.5, color=canvas.colour("line"), linewidth=0.8)
        axes.set_xscale("log")
        ticks = sorted({int(k) for means in shown.values() for k in means["k"] if k})
        axes.set_xticks(ticks, [str(k) for k in ticks])
        axes.minorticks_off()
        axes.set_title(f"Probes of {many(modality)}", fontweight="bold", fontsize=10)
        axes.set_xlabel("features")
        axes.set_ylabel("balanced accuracy" if canvas.narrow or modality == modalities[0] else "")
        axes.grid(axis="y")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2 if canvas.narrow else 4)
    return figure


FIGURES = (
    StudyFigure(
        "accuracy_by_k",
        "Lines of mean balanced accuracy over the number of features; the numbers are in "
        "tables/dictionary-bench_means.csv.",
        "Held-out balanced accuracy, a mean over attributes, of probes that read k features of {firsts} and of "
        "{seconds}. Bands: 95 % intervals over pairs. Dotted: as many random features. Upper line: dense probe; lower "
        "line: chance.",
        lambda result: "means" in result.tables,
        accuracy_by_k,
    ),
)
