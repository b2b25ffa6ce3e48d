"""Intervals from few or unequal observations."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import special  # scipy.stats takes a second to import

# A share of which fewer groups than this are on the rarer side is judged by its number of groups alone.
_FEWEST = 5
# So many times too large the jackknife's variance is at most: twice where groups do all by two, three times where by
# three. In simulation intervals covered .90 to .99 with 2.5, up to 1.00 with 2 and down to .88 with 3.
_MOST_COUNTED = 2.5


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def percentile_interval(
    draws: Float[np.ndarray, "... r"],
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The middle 95 % of the draws along the last axis, by linear interpolation, NaN left out.

    NaN where no draw is left.
    """
    if draws.shape[-1] == 0:
        return np.full(draws.shape[:-1], np.nan), np.full(draws.shape[:-1], np.nan)
    ordered = np.sort(draws, axis=-1)  # NaN last
    last = np.maximum((~np.isnan(ordered)).sum(axis=-1, keepdims=True) - 1, 0)

    def quantile(share: float) -> np.ndarray:
        position = share * last
        below = np.floor(position).astype(np.int64)
        lower = np.take_along_axis(ordered, below, axis=-1)
        upper = np.take_along_axis(ordered, np.minimum(below + 1, last), axis=-1)
        between: np.ndarray = lower + (position - below) * (upper - lower)
        return between[..., 0]

    return quantile(0.025), quantile(0.975)


def interval(draws: Float[np.ndarray, " r"]) -> tuple[float, float]:
    """The middle 95 % of some draws, as plain numbers."""
    low, high = percentile_interval(draws)
    return float(low), float(high)


def hull_interval(
    value: Real[np.ndarray, "..."], draws: Float[np.ndarray, "... r"]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The hull of the percentile and of the basic bootstrap interval.

    For a value that noise pushes one way, in the sample and again in each resample, such as a number of features
    beyond a bound: the percentile interval lies too far that way, the basic one, 2 value - draws, mirrors it.
    """
    low, high = percentile_interval(draws)
    return np.minimum(low, 2 * value - high), np.maximum(high, 2 * value - low)


def jackknife_interval(
    value: float, left_out: Float[np.ndarray, " g"], left_out_two: Float[np.ndarray, " h"] | None = None
) -> tuple[float, float]:
    """Student's interval of a smooth statistic, from its values with one of g groups left out (Tukey 1958).

    What groups do together, as in a mean over pairs of samples, the jackknife counts twice. Values with two groups left
    out, 0 and 1, 2 and 3 and so on, tell how much that is, and it is taken out (Efron and Stein 1981). NaN where there
    are fewer than two groups.
    """
    g = len(left_out)
    if g < 2:
        return np.nan, np.nan
    variance = (g - 1) / g * ((left_out - left_out.mean()) ** 2).sum()
    if left_out_two is not None:
        first, second = left_out[: 2 * len(left_out_two)].reshape(-1, 2).T
        joint = g * value - (g - 1) * (first + second) + (g - 2) * left_out_two
        joint = joint[~np.isnan(joint)]
        twice = float((joint**2).mean()) * (g - 2) ** 2 / (2 * g**2) if len(joint) else 0.0
        variance = max(variance - twice, variance / _MOST_COUNTED)
    reach = float(special.stdtrit(g - 1, 0.975) * np.sqrt(variance))
    return value - reach, value + reach


def difference_interval(first: tuple[float, float, float], second: tuple[float, float, float]) -> Estimate:
    """Difference of two independent values with their intervals (Zou and Donner 2008; of shares Newcombe 1998).

    Parameters
    ----------
    first, second
        Value, low and high of each. Where both are of the same samples the interval is rather too wide.
    """
    value = first[0] - second[0]
    below = math.hypot(first[0] - first[1], second[2] - second[0])
    over = math.hypot(first[2] - first[0], second[0] - second[1])
    return Estimate(value, value - below, value + over)


def share_interval(right: Real[np.ndarray, " n"], keys: Int[np.ndarray, " n"] | None = None) -> Estimate:
    """Share of observations that are right, with its Wilson interval at the effective number of observations.

    Observations of one group are not independent: the interval has the width of n_eff = p (1 - p) / v independent
    ones, v the variance of p over groups. Where fewer than 5 groups hold an observation of the rarer kind v cannot
    be told, and n_eff is the effective number of groups; so an interval at 1 follows the rule of three.

    Parameters
    ----------
    right
        1 (right) or 0 (wrong), or shares between, (n,).
    keys
        Observations that share a key are of one group; by default each is its own.
    """
    n = len(right)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan)
    right = np.asarray(right, dtype=np.float64)
    group = np.arange(n) if keys is None else np.unique(keys, return_inverse=True)[1]
    sizes, hits = np.bincount(group).astype(np.float64), np.bincount(group, weights=right)
    share = float(hits.sum() / n)
    groups = len(sizes)
    number = float(n**2 / (sizes**2).sum())
    rarer = min(int((hits > 0).sum()), int((hits < sizes).sum()))
    if rarer >= _FEWEST:
        variance = groups / (groups - 1) * ((hits - share * sizes) ** 2).sum() / n**2
        number = share * (1 - share) / variance if variance else number
    if groups < 2:
        return Estimate(share, 0.0, 1.0)
    z = special.stdtrit(groups - 1, 0.975) if rarer >= _FEWEST else special.ndtri(0.975)
    widened = 1 + z**2 / number
    middle = (share + z**2 / (2 * number)) / widened
    reach = z * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2)) / widened
    return Estimate(share, max(0.0, float(middle - reach)), min(1.0, float(middle + reach)))
