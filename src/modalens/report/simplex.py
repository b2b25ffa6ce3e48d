"""Shares of three modalities in a triangle."""

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from modalens.dominance import SimplexDominance
from modalens.dominance.classes import moments
from modalens.dominance.simplex import SHARED
from modalens.report.charts import new_figure, shortened
from modalens.report.naming import count, listing
from modalens.report.palette import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Corners of the triangle, one a modality: left, right, top.
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_COLOURS = ("first", "second", "third")


def triangle(found: SimplexDominance, *, narrow: bool = False) -> "Figure":
    """Each feature at its shares of three modalities; a corner is a modality alone, the centre all alike.

    Colour is the class where one modality carries the feature, and lines are the bounds of the class rule.
    """
    figure = new_figure(narrow, 4.0 if narrow else 6.4)
    axes = figure.subplots()
    axes.set_aspect("equal")
    axes.axis("off")
    axes.fill(*_CORNERS.T, facecolor="none", edgecolor=colour("muted"), linewidth=1.2)
    for start, stop in _bounds(found):
        axes.plot(*np.array([start, stop]).T, color=colour("line"), linewidth=1)
    colours = {name: colour(each) for name, each in zip(found.modalities, _COLOURS, strict=True)}
    live = ~np.isnan(found.shares[:, 0])
    for label in found.classes[:-1]:
        here = live & (found.labels == label)
        x, y = (found.shares[here] @ _CORNERS).T
        axes.scatter(
            x,
            y,
            s=9 if narrow else 16,
            color=colours.get(label, colour("cross" if label == SHARED else "muted")),
            alpha=0.75,
            linewidths=0,
            rasterized=bool(here.sum() > 2000),
        )
    _name_classes(axes, found, narrow=narrow)
    axes.set_xlim(-0.08, 1.08)
    axes.set_ylim(-0.12, 0.98)
    return figure


def describe_triangle(found: SimplexDominance) -> str:
    """The triangle in words."""
    counts = found.counts()
    shown = [f"{count(number)} {label}" for label, number in counts.items() if number]
    return (
        f"A triangle whose corners are {listing(found.modalities)} alone and whose centre is all alike; each dot is a "
        f"feature at its shares. Classes under {found.rule}: {', '.join(shown)}."
    )


def _bounds(found: SimplexDominance) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ends of the lines at which a modality begins or ceases to carry a feature."""
    if found.rule == "twofold":
        # A modality is half as strong as the strongest, which is no weaker than the third.
        ends = []
        for weaker, stronger, other in permutations(range(3)):
            shares = np.zeros((2, 3))
            shares[0, [weaker, stronger, other]] = 1 / 5, 2 / 5, 2 / 5
            shares[1, [weaker, stronger]] = 1 / 3, 2 / 3
            ends.append(shares @ _CORNERS)
        return [(start, stop) for start, stop in ends]
    return [_across(each, share) for each, share in enumerate(_uppers(found)) if share < 1]


def _uppers(found: SimplexDominance) -> list[float]:
    return [float(mean + std) for mean, std in map(moments, found.shares.T)]


def _across(modality: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    shares = np.zeros((2, 3))
    shares[:, modality] = share
    for row, other in enumerate(each for each in range(3) if each != modality):
        shares[row, other] = 1 - share
    start, stop = shares @ _CORNERS
    return start, stop


def _name_classes(axes: "Axes", found: SimplexDominance, *, narrow: bool) -> None:
    """Name and count of each class: single modalities at corners, pairs at the middle of edges, shared under all."""
    counts = found.counts()
    size = 9 if narrow else 10.5
    corners = (
        ((0, -0.035), "center", "top"),
        ((1, -0.035), "center", "top"),
        ((0.5, 0.89), "center", "bottom"),
    )
    for name, (place, side, edge), shade in zip(found.modalities, corners, _COLOURS, strict=True):
        text = f"{shortened(name, 18)}\n{count(counts[name])}"
        axes.text(*place, text, ha=side, va=edge, fontsize=size, color=colour(shade), fontweight="bold")
    for first, second in ((0, 1), (1, 2), (0, 2)):
        label = f"{found.modalities[first]}+{found.modalities[second]}"
        x, y = _away(_CORNERS[[first, second]].mean(axis=0), 0.035)
        side = "center" if y < 0 else "left" if x > 0.5 else "right"
        text = f"{shortened(label, 16 if narrow else 28)}\n{count(counts[label])}"
        axes.text(x, y, text, ha=side, va="top" if y < 0 else "center", fontsize=size, color=colour("muted"))
    x, y = _CORNERS.mean(axis=0)
    axes.text(
        x,
        y,
        f"{SHARED} {count(counts[SHARED])}",
        ha="center",
        va="center",
        fontsize=size,
        color=colour("ink"),
        bbox={"facecolor": colour("paper"), "edgecolor": "none", "alpha": 0.75, "pad": 2},
    )


def _away(place: Float[np.ndarray, " 2"], distance: float) -> Float[np.ndarray, " 2"]:
    """A place moved away from the centre."""
    direction = place - _CORNERS.mean(axis=0)
    moved: np.ndarray = place + distance * direction / np.linalg.norm(direction)
    return moved
