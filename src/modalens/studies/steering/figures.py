"""Response by dose of features beside random directions, and what scaling a class does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modalens.pairs.modality import many
from modalens.studies.figure import Canvas, Results, StudyFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = ("zero-shot classes", "probe", "retrieved", "kept")
_TITLES = {
    "zero-shot classes": "read as the label: zero-shot",
    "probe": "read as the label: probe",
    "retrieved": "label among the nearest 10",
    "kept": "partner of unrelated queries kept",
}
_STYLES = {"steerable features": "-", "features": "--", "random directions": ":"}


def response_by_dose(
    own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas
) -> "Figure":
    """A row for each representation, a panel for each measure, a colour for each side."""
    del others
    columns = 2 if canvas.narrow else 4
    figure = canvas.new_figure(0.5 + 2.3 * len(own) * (4 // columns))
    panels = iter(figure.subplots(len(own) * (4 // columns), columns, squeeze=False).flat)
    for name, result in own.items():
        table = result.tables["doses"]
        for measure, axes in zip(_SHOWN, panels, strict=False):
            for side, role in zip(modalities, ("first", "second"), strict=True):
                for of, style in _STYLES.items():
                    rows = table[
                        (table["side"] == side) & (table["of"] == of) & (table["measure"] == measure)
                    ]
                    if len(rows):
                        colour = canvas.colour(role)
                        axes.plot(
                            rows["dose"], rows["value"], style, color=colour, label=f"{many(side)}, {of}"
                        )
                        ends = (rows["value_low"], rows["value_high"])
                        axes.fill_between(rows["dose"], *ends, color=colour, alpha=0.12, linewidth=0)
            axes.set_title(f"{name}\n{_TITLES[measure]}", fontsize=8)
            axes.set_xlabel("dose")
            axes.grid(axis="y")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=2 if canvas.narrow else 3, handlelength=1.6
    )
    return figure


FIGURES = (
    StudyFigure(
        "response_by_dose",
        "Lines of what moves over the dose that is added; the numbers are in tables/steer_doses.csv.",
        "What moves when a feature's direction is added to {firsts} or {seconds}: mean change over features, over "
        "steerable ones, and over random directions of equal norm, against the dose in mean lengths of an embedding. "
        "Bands: 95 % intervals over pairs.",
        lambda result: len(result.tables.get("doses", ())) > 0,
        response_by_dose,
    ),
)
