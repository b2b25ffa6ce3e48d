"""One set of features beside random ones of its size: does what it changes stand out?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import t as student


@dataclass(frozen=True)
class AgainstRandom:
    """One set beside random ones.

    Attributes
    ----------
    random
        Mean accuracy without a random set.
    low, high
        Where the accuracy without one more set lies with 95 % if it is a random one, in [0, 1].
    difference
        Accuracy without the set minus ``random``; under 0, the set carries more than a random one.
    p
        Two-sided.
    """

    random: float
    low: float
    high: float
    difference: float
    p: float


def against_random(
    own: Bool[np.ndarray, " n"], draws: Bool[np.ndarray, "r n"], keys: Int[np.ndarray, " n"]
) -> AgainstRandom:
    """Whether accuracy without a set is what it is without random ones.

    Parameters
    ----------
    own
        Whether each test sample is classified right without the set.
    draws
        The same without each of r random sets, on the same samples.
    keys
        Samples that share a key are not independent.

    Notes
    -----
    t = difference / scale, scale^2 = (1 + 1/r) s^2 + max(0, v - (1 + 1/r) w) + 1 / (12 n^2): s^2 the variance of
    accuracy over draws; v the variance, over test samples, of own minus the draws' mean; w the same of one draw,
    which s^2 holds already; the last is what an accuracy over n samples is rounded by.
    """
    r, n = draws.shape
    shared = draws.mean(axis=0)
    spread = (1 + 1 / r) * draws.mean(axis=1).var(ddof=1)
    own_noise = _noise(own[None] - shared, keys)[0]
    draw_noise = _noise(draws - shared, keys).mean() * r / (r - 1)
    scale = np.sqrt(spread + max(0.0, own_noise - (1 + 1 / r) * draw_noise) + 1 / (12 * n**2))
    random, difference = float(shared.mean()), float(own.mean() - shared.mean())
    reach = float(student.ppf(0.975, r - 1) * scale)
    p = float(2 * student.sf(abs(difference) / scale, r - 1))
    return AgainstRandom(random, max(random - reach, 0.0), min(random + reach, 1.0), difference, p)


def _noise(values: Float[np.ndarray, "s n"], keys: Int[np.ndarray, " n"]) -> Float[np.ndarray, " s"]:
    """Variance of the mean of each row over samples that are independent between groups."""
    centred = values - values.mean(axis=1, keepdims=True)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    sums = np.add.reduceat(centred[:, order], starts, axis=1)
    noise: np.ndarray = (sums**2).sum(axis=1) / values.shape[1] ** 2
    return noise
