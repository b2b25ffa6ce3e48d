"""One set of features beside random ones: does what it changes stand out?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.special import ndtri
from scipy.stats import false_discovery_control
from scipy.stats import t as student

LEVEL, POWER = 0.05, 0.8


@dataclass(frozen=True)
class AgainstRandom:
    """One set of features beside random ones.

    Attributes
    ----------
    difference
        Mean outcome with the set minus the mean over random sets.
    low, high
        Its 95 % interval.
    p
        Two-sided, of the hypothesis that the set is one more random one.
    detectable
        The smallest difference, of either sign, that this test finds at level .05 with power .8.
    """

    difference: float
    low: float
    high: float
    p: float
    detectable: float


def against_random(
    own: Real[np.ndarray, " n"], draws: Real[np.ndarray, "r n"], keys: Int[np.ndarray, " n"]
) -> AgainstRandom:
    """Whether the outcome with a set of features is what it is with random sets.

    Parameters
    ----------
    own
        Outcome on each test sample with the set, such as right (1) or wrong (0).
    draws
        The same with each of r random sets, on the same samples, so that noise which all share falls out.
    keys
        Samples that share a key are not independent.

    Notes
    -----
    See :func:`t_test`, with the noise of means over g groups (variance of group sums, g / (g - 1)), and 1 / (12 n^2)
    added to the variance for what a share of n samples is rounded by.
    """
    n = draws.shape[1]
    shared = draws.mean(axis=0)
    difference = float(own.mean() - shared.mean())
    noise, groups = _noise(np.concatenate([own[None] - shared, draws - shared]), keys)
    return t_test(
        difference, draws.mean(axis=1), noise[0], noise[1:].mean(), groups=groups, rounding=1 / (12 * n**2)
    )


def t_test(
    difference: float,
    means: Float[np.ndarray, " r"],
    own_noise: float = 0.0,
    draw_noise: float = 0.0,
    *,
    groups: int | None = None,
    rounding: float = 0.0,
) -> AgainstRandom:
    """Whether one more random set would differ as much from the mean of random ones.

    Parameters
    ----------
    difference
        Outcome with the set minus the mean over random sets.
    means
        Mean outcome with each of r random sets.
    own_noise, draw_noise
        Variance, over samples, of the outcome with the set less the mean over random sets, and the mean variance of
        the same with one random set, which the spread of ``means`` holds already.
    groups
        Independent groups of samples behind a mean; None where samples are no source of noise.
    rounding
        Variance by which outcomes are rounded.

    Returns
    -------
    AgainstRandom
        NaN but for the difference where there are fewer than two random sets or groups.

    Notes
    -----
    t = difference / scale with min(r, groups) - 1 degrees of freedom, and scale^2 = (1 + 1/r) s^2 + max(0, v -
    (1 + 1/r) w) + rounding. The first term is the prediction error of one more draw, s^2 the variance of ``means``;
    v and w are ``own_noise`` and ``draw_noise`` r / (r - 1): what a set that acts on other samples than random ones do
    adds in noise. ``detectable`` is (t(.975) + t(.8)) scale.
    """
    r = len(means)
    freedom = (r if groups is None else min(r, groups)) - 1
    if freedom < 1:
        return AgainstRandom(difference, np.nan, np.nan, np.nan, np.nan)
    one_more = 1 + 1 / r
    added = max(0.0, float(own_noise) - one_more * float(draw_noise) * r / (r - 1))
    scale = float(np.sqrt(one_more * means.var(ddof=1) + added + rounding))
    limit = float(student.ppf(1 - LEVEL / 2, freedom))
    if scale > 0:
        p = float(2 * student.sf(abs(difference) / scale, freedom))
    else:
        p = 1.0 if difference == 0 else 0.0
    detectable = (limit + float(student.ppf(POWER, freedom))) * scale
    return AgainstRandom(difference, difference - limit * scale, difference + limit * scale, p, detectable)


def seen_with_power(low: float, high: float) -> float:
    """The smallest effect that a test at level .05 finds with power .8, from the effect's 95 % interval."""
    found = (ndtri(1 - LEVEL / 2) + ndtri(POWER)) / ndtri(1 - LEVEL / 2)
    return float(found * abs(high - low) / 2)


def one_more_draw(values: Float[np.ndarray, " r"]) -> tuple[float, float]:
    """Where one more random draw would lie with 95 % (Student's prediction interval)."""
    r = len(values)
    reach = student.ppf(0.975, r - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / r)
    return float(values.mean() - reach), float(values.mean() + reach)


def corrected(p: Real[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The p-values of one table, corrected for there being so many (Benjamini and Hochberg 1995); NaN stays.

    Of the rows that a study calls found at .05, at most 5 % are false on average.
    """
    p = np.asarray(p, dtype=np.float64)
    told = ~np.isnan(p)
    q = np.full(p.shape, np.nan)
    if told.any():
        q[told] = false_discovery_control(p[told])
    return q


def _noise(
    values: Float[np.ndarray, "s n"], keys: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " s"], int]:
    """Variance of the mean of each row over samples that are independent between groups; and the groups."""
    centred = values - values.mean(axis=1, keepdims=True)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    sums = np.add.reduceat(centred[:, order], starts, axis=1)
    groups = len(starts)
    noise: np.ndarray = (sums**2).sum(axis=1) / values.shape[1] ** 2 * groups / max(groups - 1, 1)
    return noise, groups
