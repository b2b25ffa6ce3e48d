"""One set of features beside random ones of its size: does what it changes stand out?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.stats import t as student


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
    """

    difference: float
    low: float
    high: float
    p: float


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
    t = difference / scale, with r - 1 degrees of freedom and scale^2 = (1 + 1/r) s^2 + max(0, v - (1 + 1/r) w)
    + 1 / (12 n^2). The first term is the prediction error of one more draw, s^2 the variance of the mean outcome
    over draws. v is the variance, over test samples, of own minus the draws' mean, and w the same of one draw,
    which s^2 holds already: what a set that acts on other samples than random ones do adds in noise. The last
    is what a share of n samples is rounded by.
    """
    r, n = draws.shape
    shared = draws.mean(axis=0)
    spread = (1 + 1 / r) * draws.mean(axis=1).var(ddof=1)
    own_noise = _noise(own[None] - shared, keys)[0]
    draw_noise = _noise(draws - shared, keys).mean() * r / (r - 1)
    scale = np.sqrt(spread + max(0.0, own_noise - (1 + 1 / r) * draw_noise) + 1 / (12 * n**2))
    difference = float(own.mean() - shared.mean())
    reach = float(student.ppf(0.975, r - 1) * scale)
    p = float(2 * student.sf(abs(difference) / scale, r - 1))
    return AgainstRandom(difference, difference - reach, difference + reach, p)


def one_more_draw(values: Float[np.ndarray, " r"]) -> tuple[float, float]:
    """Where one more random draw would lie with 95 % (Student's prediction interval)."""
    r = len(values)
    reach = student.ppf(0.975, r - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / r)
    return float(values.mean() - reach), float(values.mean() + reach)


def _noise(values: Float[np.ndarray, "s n"], keys: Int[np.ndarray, " n"]) -> Float[np.ndarray, " s"]:
    """Variance of the mean of each row over samples that are independent between groups."""
    centred = values - values.mean(axis=1, keepdims=True)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    sums = np.add.reduceat(centred[:, order], starts, axis=1)
    noise: np.ndarray = (sums**2).sum(axis=1) / values.shape[1] ** 2
    return noise
