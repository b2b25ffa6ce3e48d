"""Spearman's correlation of metrics over features, with an interval and a test."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtr

from modalens.statistics.intervals import interval

FEWEST = 10


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation over the features that have both metrics.

    Attributes
    ----------
    features
        Those that have both.
    value
        Spearman's rho, in [-1, 1]; NaN for fewer than ten features or a constant metric.
    low, high
        95 % percentile interval of a bootstrap over features, ranked anew in every resample.
    p
        Two-sided, of no correlation, by Student's t with two degrees of freedom less than features.
    """

    features: int
    value: float
    low: float
    high: float
    p: float


def rank_correlation(
    first: Float[np.ndarray, " f"], second: Float[np.ndarray, " f"], resamples: int, seed: int
) -> RankCorrelation:
    """Spearman's correlation of two metrics; features without one of them (NaN) are left out."""
    both = ~(np.isnan(first) | np.isnan(second))
    n = int(both.sum())
    first, second = first[both], second[both]
    if n < FEWEST or not (np.ptp(first) and np.ptp(second)):
        return RankCorrelation(n, np.nan, np.nan, np.nan, np.nan)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples)
    value = float(correlations(first, second, np.ones((1, n), dtype=np.int64))[0])
    low, high = interval(correlations(first, second, counts))
    t = abs(value) * np.sqrt((n - 2) / max(1 - value**2, 1e-300))
    return RankCorrelation(n, value, low, high, float(2 * stdtr(n - 2, -t)))


def correlations(
    first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"], counts: Int[np.ndarray, "r n"]
) -> Float[np.ndarray, " r"]:
    """Spearman's correlation in resamples that take each feature so often; NaN where a metric is constant."""
    a, b = ranks(first, counts), ranks(second, counts)
    total = counts.sum(axis=1, keepdims=True)
    a -= (counts * a).sum(axis=1, keepdims=True) / total
    b -= (counts * b).sum(axis=1, keepdims=True) / total
    weighted = counts * a
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = (weighted * b).sum(axis=1) / np.sqrt(
            (weighted * a).sum(axis=1) * (counts * b**2).sum(axis=1)
        )
    return found


def ranks(values: Float[np.ndarray, " n"], counts: Int[np.ndarray, "r n"]) -> Float[np.ndarray, "r n"]:
    """Rank of every value in each resample, the mean rank of equal ones."""
    order = np.argsort(values, kind="stable")
    new = np.concatenate([[True], np.diff(values[order]) > 0])
    of_group = np.add.reduceat(counts[:, order], np.flatnonzero(new), axis=1)
    middle = np.cumsum(of_group, axis=1) - (of_group - 1) / 2
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.cumsum(new) - 1
    return middle[:, group]
