"""The curves of closing the gap: what is left of it, and of retrieval, as one-sided features are removed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from modalens.studies.figure import Canvas, Results, StudyFigure
from modalens.studies.result import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OWN, _NOTHING, _MEANS = "one-sided first", "nothing", "both means"
# Colour and stroke of every kind of removal, and what the legend calls it.
_LINES = {
    "random, equal count": ("muted", "-", "random, as many"),
    "random, equal energy": ("second", ":", "random, as much energy"),
    "largest variance": ("first", "--", "largest variance, as many"),
    _OWN: ("ink", "-", "one-sided first"),
}


def curves(own: Results, others: Sequence[Results], modalities: tuple[str, str], canvas: Canvas) -> "Figure":
    """RMG and R@10 against the share of live features removed, a panel for each representation of the main encoder.

    Bands are intervals in which one more random draw would fall; thin lines are the other encoders, one-sided
    features first; horizontal lines are nothing removed (thin) and both modality means removed (dotted).
    """
    narrow, colour = canvas.narrow, canvas.colour
    measures = {"rmg": "RMG", f"recall_10_{modalities[0]}_to_{modalities[1]}": "R@10"}
    rows, columns = (len(own), 2) if narrow else (2, len(own))
    figure = canvas.new_figure(0.9 + (1.7 if narrow else 2.3) * rows)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for place, (features, result) in enumerate(own.items()):
        for which, (measure, name) in enumerate(measures.items()):
            axes = grid[place, which] if narrow else grid[which, place]
            for twin in others:
                if features in twin:
                    line = _steps(twin[features])[_OWN]
                    axes.plot(line["share"], line[measure], color=colour("ink"), linewidth=0.8, alpha=0.4)
            _draw(axes, result, measure, canvas)
            axes.set_title(f"{features}: {name}", fontweight="bold", fontsize=9 if narrow else 10)
            axes.grid(axis="y")
            axes.set_ylim(bottom=0)
            axes.set_xlim(0, 1)
            axes.set_xticks((0, 0.5, 1), ("0\u00a0%", "50\u00a0%", "100\u00a0%"))
            if (narrow and place + 1 == rows) or (not narrow and which):
                axes.set_xlabel("live features removed")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    columns = 2 if narrow else len(handles)
    figure.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=columns, fontsize=9)
    return figure


def _draw(axes: "Axes", result: StudyResult, measure: str, canvas: Canvas) -> None:
    colour = canvas.colour
    level = result.tables["curve"].drop_duplicates("kind").set_index("kind")[measure].to_dict()
    axes.axhline(level[_NOTHING], color=colour("ink"), linewidth=0.8)
    axes.axhline(level[_MEANS], color=colour("ink"), linewidth=1, linestyle=(0, (1, 2)))
    steps = _steps(result)
    for kind, (shade, stroke, label) in _LINES.items():
        line = steps[kind]
        main = kind == _OWN
        axes.plot(
            line["share"],
            line[measure],
            color=colour(shade),
            linestyle=stroke,
            linewidth=2.2 if main else 1.4,
            marker="o" if main else None,
            markersize=3.5,
            label=label,
        )
        if kind.startswith("random"):
            axes.fill_between(
                line["share"],
                line[f"{measure}_low"],
                line[f"{measure}_high"],
                color=colour(shade),
                alpha=0.16,
                linewidth=0,
            )


def _steps(result: StudyResult) -> Mapping[str, pd.DataFrame]:
    """The removals by kind, each at the share of features that its step removes one-sided first."""
    curve = result.tables["curve"]
    curve = curve.assign(step=(curve["kind"] == _OWN).cumsum())
    curve = curve[curve["step"] > 0]
    removed = curve[curve["kind"] == _OWN].set_index("step")["removed"]
    curve = curve.assign(share=curve["step"].map(removed) / result.config["live_features"])
    kinds: Sequence[str] = tuple(_LINES)
    return {kind: curve[curve["kind"] == kind] for kind in kinds}


FIGURES = (
    StudyFigure(
        "close_gap",
        "Lines of RMG and R@10 as features are removed; the numbers are in tables/close-gap_curve.csv.",
        "What is left of the gap (RMG, lower is closer; under 0.5 pairs lie no further apart than samples of one "
        "modality) and of retrieval (R@10 from {first} to {second}) as features are removed, one-sided ones first. "
        "Bands: where one more random draw would fall. Thin curves: the other encoders. Horizontal lines: nothing "
        "removed, and (dotted) both modality means removed.",
        lambda result: "curve" in result.tables,
        curves,
    ),
)
