"""Live features, and those at the ends of the score."""

import numpy as np
from scipy import stats

from modalens.dominance import Dominance

OUTER = 0.05


def live(scores: Dominance) -> int:
    """How many features have a score."""
    return int((~np.isnan(scores.score)).sum())


def outer_share(scores: Dominance) -> tuple[float, float, float]:
    """Share of live features with R under 0.05 or over 0.95, with a 95 % Wilson interval over features."""
    found = scores.score[~np.isnan(scores.score)]
    if not len(found):
        return np.nan, np.nan, np.nan
    hits = int(((found < OUTER) | (found > 1 - OUTER)).sum())
    interval = stats.binomtest(hits, len(found)).proportion_ci(0.95, method="wilson")
    return hits / len(found), float(interval.low), float(interval.high)
