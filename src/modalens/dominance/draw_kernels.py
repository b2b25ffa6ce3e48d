"""Compiled passes over random draws of scores: ratios, moments and class counts."""

from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from modalens.compiled import compiled, cores, on_cores


def resampled_ratios(
    share: Float[np.ndarray, "d r"],
    count: Float[np.ndarray, "c r"],
    normal: tuple[np.ndarray, np.ndarray],
    prior: Float[np.ndarray, " d"],
) -> None:
    """Turn resampled shares into R in place, with one group of the prior in each.

    Parameters
    ----------
    share, count
        Resampled sums; one row of ``count`` stands for all features where there is but one.
    normal
        Two arrays (d, r) of normal numbers, whose halved squares are the Gamma(1/2) of Jeffreys' prior.
    prior
        Weight of the prior's group.
    """
    on_cores(
        _resampled_ratios,
        [
            (
                share[here],
                count[here if len(count) > 1 else slice(1)],
                normal[0][here],
                normal[1][here],
                prior[here],
            )
            for here in _halves(len(share))
        ],
    )


def swapped_ratios(tilt: Float[np.ndarray, "d r"], count: Float[np.ndarray, " d"]) -> None:
    """Turn the sums of signs times (u - c / 2) into R in place."""
    on_cores(_swapped_ratios, [(tilt[here], count[here]) for here in _halves(len(tilt))])


def column_moments(scores: Float[np.ndarray, "d r"]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each column over what is not NaN; NaN for a column of NaN."""
    found: list[tuple[np.ndarray, np.ndarray]] = on_cores(
        _column_moments, [(scores[:, here],) for here in _halves(scores.shape[1])]
    )
    return np.concatenate([mean for mean, _ in found]), np.concatenate([std for _, std in found])


def tally_classes(
    scores: Float[np.ndarray, "d r"], lower: Float[np.ndarray, " r"], upper: Float[np.ndarray, " r"]
) -> tuple[Int[np.ndarray, "d 3"], Int[np.ndarray, "3 r"]]:
    """How often scores lie under, within and over the bounds of their column, by row and by column; NaN nowhere."""
    found = on_cores(_tally_classes, [(scores[here], lower, upper) for here in _halves(len(scores))])
    return np.concatenate([rows for rows, _ in found]), np.sum([columns for _, columns in found], axis=0)


def _halves(n: int) -> list[slice]:
    """Slices of about equal length, one a core."""
    bounds = np.linspace(0, n, min(cores(), max(n, 1)) + 1).astype(int)
    return [slice(start, stop) for start, stop in pairwise(bounds)]


@compiled
def _resampled_ratios(share: Any, count: Any, normal: Any, other_normal: Any, prior: Any) -> None:
    for i in range(share.shape[0]):
        weight = prior[i] / 2
        row = count[i if count.shape[0] > 1 else 0]
        for j in range(share.shape[1]):
            first = np.float64(normal[i, j]) * np.float64(normal[i, j]) * weight
            both = first + np.float64(other_normal[i, j]) * np.float64(other_normal[i, j]) * weight
            share[i, j] = _ratio(share[i, j] + first, row[j] + both)


@compiled
def _swapped_ratios(tilt: Any, count: Any) -> None:
    for i in range(tilt.shape[0]):
        for j in range(tilt.shape[1]):
            tilt[i, j] = _ratio(count[i] / 2 + tilt[i, j], count[i])


@compiled
def _ratio(share: float, count: float) -> float:
    ratio = share / count if count > 0.0 else np.nan
    ratio = 0.0 if ratio < 0.0 else ratio  # only rounding lies outside
    return 1.0 if ratio > 1.0 else ratio


@compiled
def _column_moments(scores: Any) -> Any:
    d, r = scores.shape
    live, mean, variance = np.zeros(r), np.zeros(r), np.zeros(r)
    for i in range(d):
        for j in range(r):
            value = scores[i, j]
            live[j] += 1.0 if value == value else 0.0
            mean[j] += value if value == value else 0.0
    mean /= live
    for i in range(d):
        for j in range(r):
            apart = scores[i, j] - mean[j]
            variance[j] += apart * apart if apart == apart else 0.0
    return mean, np.sqrt(variance / live)


@compiled
def _tally_classes(scores: Any, lower: Any, upper: Any) -> Any:
    d, r = scores.shape
    by_row, by_column = np.zeros((d, 3), np.int64), np.zeros((3, r), np.int64)
    for i in range(d):
        under = over = live = 0
        for j in range(r):
            value = scores[i, j]
            is_under, is_over, is_live = value < lower[j], value > upper[j], value == value
            by_column[0, j] += is_under
            by_column[2, j] += is_over
            by_column[1, j] += is_live and not is_under and not is_over
            under += is_under
            over += is_over
            live += is_live
        by_row[i] = under, live - under - over, over
    return by_row, by_column
