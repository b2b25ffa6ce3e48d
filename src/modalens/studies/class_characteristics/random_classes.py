"""Classes drawn at random: of the same size, and of the same size and firing rates."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import stdtrit

from modalens.statistics.controls import LEVEL, POWER
from modalens.statistics.intervals import interval


@dataclass(frozen=True)
class BesideRandom:
    """The mean of a class beside those of random classes.

    Attributes
    ----------
    random, random_low, random_high
        Mean over random classes and their middle 95 %.
    p
        Two-sided: share of random classes, the real one counted as one, that lie as far from ``random``.
    detectable
        The smallest difference that this test finds at level .05 with power .8.
    """

    random: float
    random_low: float
    random_high: float
    p: float
    detectable: float


def strata_of(rate: Float[np.ndarray, " k"], number: int) -> Int[np.ndarray, " k"]:
    """Stratum of each feature, from 0: parts of about equal size in the order of ``rate``, equal rates together."""
    edges = np.unique(np.quantile(rate, np.linspace(0, 1, number + 1)[1:-1]))
    return np.searchsorted(edges, rate, side="left")


def random_members(
    inside: Bool[np.ndarray, " k"], strata: Int[np.ndarray, " k"], draws: int, seed: int
) -> Bool[np.ndarray, "r k"]:
    """Membership of random classes with as many features of every stratum as a class has."""
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    drawn = np.zeros((draws, len(inside)), dtype=bool)
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata == stratum)
        drawn[:, places] = generator.permuted(np.tile(inside[places], (draws, 1)), axis=1)
    return drawn


def beside_random(
    values: Float[np.ndarray, " k"], inside: Bool[np.ndarray, " k"], drawn: Bool[np.ndarray, "r k"]
) -> BesideRandom:
    """Whether a class has another mean than random ones; features without a value (NaN) are left out."""
    own, means = mean_of(values, inside[None])[0], mean_of(values, drawn)
    means = means[~np.isnan(means)]
    if np.isnan(own) or len(means) < 2 or means.std() <= 1e-12 * max(abs(own), 1e-300):
        return BesideRandom(float(means.mean()) if len(means) else np.nan, np.nan, np.nan, np.nan, np.nan)
    middle = means.mean()
    far = int((np.abs(means - middle) >= abs(own - middle) * (1 - 1e-12)).sum())
    reach = (stdtrit(len(means) - 1, 1 - LEVEL / 2) + stdtrit(len(means) - 1, POWER)) * means.std(ddof=1)
    return BesideRandom(float(middle), *interval(means), (1 + far) / (1 + len(means)), float(reach))


def mean_of(values: Float[np.ndarray, " k"], members: Bool[np.ndarray, "r k"]) -> Float[np.ndarray, " r"]:
    """Mean over the members of each class that have a value; NaN where none has."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = (members[:, known] @ values[known]) / members[:, known].sum(axis=1)
    return found
