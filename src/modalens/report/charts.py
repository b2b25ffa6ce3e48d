"""Parts that figures are made of.

A figure is a pure function from results to a matplotlib figure, drawn in two shapes, wide for a desk and narrow for a
phone, with type of the same size in both. Call it inside :func:`modalens.report.rendering.drawing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int8

from modalens.dominance.rules import RULES, class_codes
from modalens.report.data import EncoderResult
from modalens.report.naming import NULL_NAME, ROLES, Naming, count
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 11.0, 4.1  # inches; type then shows at about 14 and 12 pixels


@dataclass(frozen=True)
class ScoreSet:
    """Scores of one encoder, or of one label-swap draw, under one class rule."""

    name: str
    score: Float[np.ndarray, " d"]
    rule: str

    @property
    def codes(self) -> Int8[np.ndarray, " d"]:
        """Class code of every feature."""
        return class_codes(self.score, self.rule)

    @property
    def bounds(self) -> tuple[float, float]:
        """The scores between which a feature is cross."""
        lower, upper = RULES[self.rule].bounds(self.score)
        return float(lower), float(upper)


def score_sets(encoders: Sequence[EncoderResult], estimator: str) -> list[ScoreSet]:
    """The scores to show side by side: every encoder that has any, then the first one's label-swap draw."""
    found = [(encoder.name, encoder.scores(estimator)) for encoder in encoders]
    sets = [ScoreSet(name, scores.score, scores.rule) for name, scores in found if scores is not None]
    main = found[0][1]
    if main is not None and main.null is not None:
        sets.append(ScoreSet(NULL_NAME, main.null.scores, main.rule))
    return sets


def evenly(items: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` of the items, evenly spaced, both ends among them."""
    if len(items) <= most:
        return items
    places = np.linspace(0, len(items) - 1, most).round().astype(int)
    return np.take(items, places)


def new_figure(narrow: bool, height: float) -> "Figure":
    """An empty figure for a phone or a desk, ``height`` inches tall."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(
        figsize=(NARROW if narrow else WIDE, height), layout=ConstrainedLayoutEngine(hspace=0.06, wspace=0.03)
    )
    FigureCanvasAgg(figure)
    return figure


@dataclass(frozen=True)
class PageCanvas:
    """What a study draws on: see :class:`modalens.studies.figure.Canvas`."""

    narrow: bool

    def new_figure(self, height: float) -> "Figure":
        """An empty figure, ``height`` inches tall."""
        return new_figure(self.narrow, height)

    def colour(self, name: str) -> str:
        """The light version of a colour."""
        return colour(name)


def draw_histogram(axes: "Axes", shown: ScoreSet, bins: int, share: bool = False) -> float:
    """Draw the stacked histogram; returns the height of its tallest bar."""
    edges = np.linspace(0, 1, bins + 1)
    total = max(1, int((~np.isnan(shown.score)).sum())) if share else 1
    base = np.zeros(bins)
    codes = shown.codes
    for code, role in enumerate(ROLES[:3]):
        heights = np.histogram(shown.score[codes == code], edges)[0] / total
        drawn = heights > 0
        axes.bar(
            edges[:-1][drawn],
            heights[drawn],
            1 / bins,
            base[drawn],
            align="edge",
            color=colour(role),
            edgecolor=colour("paper"),
            linewidth=0.5,
        )
        base += heights
    return float(base.max())


def score_axis(axes: "Axes", naming: Naming, *, label: bool, short: bool = False) -> None:
    """Make the x axis that of the score, from 0 to 1."""
    axes.set_xlim(0, 1)
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", ".25", ".5", ".75", "1"))
    if label:
        centre = "R" if short else "Modality Dominance Score R"
        axes.set_xlabel(f"← {naming.second} · {centre} · {naming.first} →")


def class_legend(figure: "Figure", naming: Naming, counts: Mapping[str, int | None]) -> None:
    """A legend of classes by role, with their counts where given."""
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=colour(role),
            edgecolor=colour("cross") if role == "dead" else colour(role),
            hatch="////" if role == "dead" else None,
            label=naming.short(role) if number is None else f"{naming.short(role)} {count(number)}",
        )
        for role, number in counts.items()
        if number is None or number or role != "dead"
    ]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        handlelength=0.9,
        handleheight=0.9,
        columnspacing=1.4,
        handletextpad=0.5,
        borderaxespad=0.2,
    )


def shortened(name: str, most: int) -> str:
    """A name of at most ``most`` letters."""
    name = " ".join(name.split())
    return name if len(name) <= most else name[: most - 1] + "…"
