"""Compiled passes over random draws of scores: what they are drawn from, ratios, moments and class counts.

Draws are kept in single precision: they are summed as deviations from the score, which itself is a double, so that what
is rounded off a draw is a ten-millionth of it.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Real

from modalens.compiled import compiled, cores, on_cores


class FeatureMoments(NamedTuple):
    """Moments of u and c over buckets, one of each feature, (d,).

    Attributes
    ----------
    total, share
        Sums of c and of u.
    variance
        Sum of squares of what c has over its part of ``total``.
    spread
        Sum of squares of u - R c.
    filled
        Number of buckets in which c is not 0.
    """

    total: Float[np.ndarray, " d"]
    share: Float[np.ndarray, " d"]
    variance: Float[np.ndarray, " d"]
    spread: Float[np.ndarray, " d"]
    filled: Float[np.ndarray, " d"]


def feature_moments(
    share: Float[np.ndarray, "c d"],
    count: Real[np.ndarray, "c d"],
    full: Int[np.ndarray, " c"],
    step: int,
    parts: Float[np.ndarray, " b"],
) -> FeatureMoments:
    """Moments over buckets of sums by cell.

    Parameters
    ----------
    share, count, full
        Sums of u and of c by cell, the latter beside what counts in full for each feature.
    step
        Cells of a bucket, which follow each other: 1 or 2.
    parts
        Part of all groups that is in each bucket.
    """
    moments = np.zeros((5, share.shape[1]))
    on_cores(
        _feature_moments,
        [
            (share[:, here], count[:, here], full, step, parts, moments[:, here])
            for here in _halves(share.shape[1])
        ],
    )
    return FeatureMoments(*moments)


def deviations(
    share: Float[np.ndarray, "c d"],
    count: Real[np.ndarray, "c d"],
    full: Int[np.ndarray, " c"],
    step: int,
    moments: FeatureMoments,
) -> tuple[Float32[np.ndarray, "b d"], Float32[np.ndarray, "b d"]]:
    """u - R c and c of each bucket as parts of the sum of c; 0 where nothing counts. See :func:`feature_moments`."""
    apart, counted = np.empty((2, len(share) // step, share.shape[1]), dtype=np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        score, inverse = moments.share / moments.total, 1 / moments.total
    on_cores(
        _deviations,
        [
            (share[at], count[at], full[at], step, score, inverse, apart[here], counted[here])
            for here, at in _bucket_parts(len(apart), step)
        ],
    )
    return apart, counted


def tilts(
    share: Float[np.ndarray, "c d"],
    count: Real[np.ndarray, "c d"],
    full: Int[np.ndarray, " c"],
    step: int,
    total: Float[np.ndarray, " d"],
) -> Float32[np.ndarray, "b d"]:
    """u - c / 2 of each bucket as a part of the sum of c, its second cell with the other sign."""
    found = np.empty((len(share) // step, share.shape[1]), dtype=np.float32)
    with np.errstate(divide="ignore"):
        inverse = 1 / total
    on_cores(
        _tilts,
        [
            (share[at], count[at], full[at], step, inverse, found[here])
            for here, at in _bucket_parts(len(found), step)
        ],
    )
    return found


def resampled_ratios(
    apart: Float32[np.ndarray, "d r"],
    count: Float[np.ndarray, "c r"],
    score: Float[np.ndarray, " d"],
    prior: Float[np.ndarray, " d"],
    normal: tuple[np.ndarray, np.ndarray],
) -> None:
    """Turn resampled deviations into R in place, with one group of the prior in each.

    Parameters
    ----------
    apart, count
        Resampled sums of what :func:`deviations` gives; one row of ``count`` stands for all features where there is but
        one.
    score
        R itself.
    prior
        Weight of the prior's group.
    normal
        Two arrays (d, r) of normal numbers, whose halved squares are the Gamma(1/2) of Jeffreys' prior; empty where all
        weights are 0.
    """
    on_cores(
        _resampled_ratios,
        [
            (
                apart[here],
                count[here if len(count) > 1 else slice(1)],
                score[here],
                prior[here],
                normal[0][here],
                normal[1][here],
            )
            for here in _halves(len(apart))
        ],
    )


def swapped_ratios(tilt: Float32[np.ndarray, "d r"], total: Float[np.ndarray, " d"]) -> None:
    """Turn sums of signs times what :func:`tilts` gives into R in place; NaN where nothing counts."""
    on_cores(_swapped_ratios, [(tilt[here], total[here]) for here in _halves(len(tilt))])


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


def _bucket_parts(n: int, step: int) -> list[tuple[slice, slice]]:
    """Slices of buckets, one a core, and of their cells."""
    return [(here, slice(here.start * step, here.stop * step)) for here in _halves(n)]


@compiled
def _feature_moments(share: Any, count: Any, full: Any, step: int, parts: Any, moments: Any) -> None:
    d = share.shape[1]
    total, shared, variance, spread, filled = moments[0], moments[1], moments[2], moments[3], moments[4]
    for cell in range(share.shape[0]):
        for j in range(d):
            total[j] += full[cell] + count[cell, j]
            shared[j] += share[cell, j]
    for bucket in range(share.shape[0] // step):
        first, last = bucket * step, bucket * step + step - 1
        both = full[first] + (full[last] if step > 1 else 0)
        for j in range(d):
            c, u = both + np.float64(count[first, j]), share[first, j]
            if step > 1:
                c += count[last, j]
                u += share[last, j]
            over = c - parts[bucket] * total[j]
            variance[j] += over * over
            apart = u - shared[j] / total[j] * c if c > 0.0 else 0.0
            spread[j] += apart * apart
            filled[j] += 1.0 if c > 0.0 else 0.0


@compiled
def _deviations(
    share: Any, count: Any, full: Any, step: int, score: Any, inverse: Any, apart: Any, counted: Any
) -> None:
    for bucket in range(apart.shape[0]):
        first, last = bucket * step, bucket * step + step - 1
        both = full[first] + (full[last] if step > 1 else 0)
        for j in range(apart.shape[1]):
            c, u = both + np.float64(count[first, j]), share[first, j]
            if step > 1:
                c += count[last, j]
                u += share[last, j]
            apart[bucket, j] = (u - score[j] * c) * inverse[j] if c > 0.0 else 0.0
            counted[bucket, j] = c * inverse[j] if c > 0.0 else 0.0


@compiled
def _tilts(share: Any, count: Any, full: Any, step: int, inverse: Any, found: Any) -> None:
    for bucket in range(found.shape[0]):
        first, last = bucket * step, bucket * step + step - 1
        for j in range(found.shape[1]):
            tilt = share[first, j] - (full[first] + np.float64(count[first, j])) / 2
            if step > 1:
                tilt -= share[last, j] - (full[last] + np.float64(count[last, j])) / 2
            found[bucket, j] = tilt * inverse[j] if tilt != 0.0 else 0.0


@compiled
def _resampled_ratios(apart: Any, count: Any, score: Any, prior: Any, normal: Any, other_normal: Any) -> None:
    for i in range(apart.shape[0]):
        weight, r = prior[i] / 2, score[i]
        row = count[i if count.shape[0] > 1 else 0]
        for j in range(apart.shape[1]):
            over, whole = np.float64(apart[i, j]), np.float64(row[j])
            if weight > 0.0:
                first = np.float64(normal[i, j]) * np.float64(normal[i, j]) * weight
                other = np.float64(other_normal[i, j]) * np.float64(other_normal[i, j]) * weight
                over += first * (1.0 - r) - other * r
                whole += first + other
            apart[i, j] = _within(r + over / whole) if whole > 0.0 else np.nan


@compiled
def _swapped_ratios(tilt: Any, total: Any) -> None:
    for i in range(tilt.shape[0]):
        for j in range(tilt.shape[1]):
            tilt[i, j] = _within(0.5 + tilt[i, j]) if total[i] > 0.0 else np.nan


@compiled
def _within(ratio: float) -> float:
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
