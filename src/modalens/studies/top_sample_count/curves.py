"""Averages of monosemanticity at each m, in a form whose differences have intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float

from modalens.interpret.scores import Monosemanticity
from modalens.statistics.intervals import jackknife_interval

MEAN, FIDELITY = "mean", "fidelity"


@dataclass(frozen=True, eq=False)
class Average:
    """A mean over features, with its values without one and without two of about 20 blocks of samples.

    Averages of features that were scored on the same samples have the same blocks, so that their difference is one too.
    """

    value: float
    one: Float[np.ndarray, " b"]
    two: Float[np.ndarray, " b2"]

    @classmethod
    def of(cls, scores: Monosemanticity, metric: str, inside: Bool[np.ndarray, " f"]) -> Self:
        """Of some features; those without a score are left out."""
        found = (getattr(scores, metric)[:, None], scores.left_out[metric], scores.left_out_two[metric])
        value, one, two = (_mean(each[inside]) for each in found)
        return cls(float(value[0]), one, two)

    def __sub__(self, other: Self) -> "Average":
        return Average(self.value - other.value, self.one - other.one, self.two - other.two)

    def interval(self) -> tuple[float, float]:
        """The jackknife's 95 % interval over samples."""
        return jackknife_interval(self.value, self.one, self.two)


@dataclass(frozen=True)
class Point:
    """One average at one m.

    Attributes
    ----------
    average
        The average.
    chance
        The same of random samples in the place of the strongest ones.
    full
        Share of the averaged features that have as many as m strongest samples; others use those they have.
    """

    average: Average
    chance: float
    full: float


def points(
    scores: Monosemanticity, own: np.ndarray, other: np.ndarray, live: np.ndarray, metric: str
) -> Mapping[str, Point]:
    """The mean over live features, and fidelity: the mean over one class minus that over the other one."""

    def full(inside: np.ndarray) -> float:
        return float((scores.samples[inside] >= scores.m).mean()) if inside.any() else np.nan

    chance = scores.chance[metric][:, None]
    return {
        MEAN: Point(Average.of(scores, metric, live), float(_mean(chance[live])[0]), full(live)),
        FIDELITY: Point(
            Average.of(scores, metric, own) - Average.of(scores, metric, other),
            float((_mean(chance[own]) - _mean(chance[other]))[0]),
            full(own | other),
        ),
    }


def verdict(intervals: Sequence[tuple[float, float]]) -> str:
    """Whether a sign is the same at every m.

    Returns
    -------
    str
        ``holds`` where every interval lies on the same side of 0, ``turns`` where two lie on opposite sides, and
        ``open`` otherwise (NaN counts as undecided).
    """
    signs = {int(low > 0) - int(high < 0) for low, high in intervals}
    if {-1, 1} <= signs:
        return "turns"
    return "holds" if signs in ({1}, {-1}) else "open"


def _mean(scores: Float[np.ndarray, "f b"]) -> Float[np.ndarray, " b"]:
    known = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(known, scores, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean
