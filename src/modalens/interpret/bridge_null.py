"""What the best of many partners looks like by chance: shuffled pairs, and p-values from them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

# Two statistics this close, in spreads, are one value that was summed up in another order.
_TIE = 1e-9


def shuffled_orders(keys: Int[np.ndarray, " n"], draws: int, seed: int) -> Iterator[Int[np.ndarray, " n"]]:
    """Random pairings: row ``order[p]`` of the second side joins row p of the first.

    Pairs of one group, such as captions of one image, are alike, and shuffling them one by one would make
    chance look smaller than it is. So groups are exchanged whole: a group of the first side meets the rows of
    another group of the second, in random order, some left out if those are more and some taken again if they
    are fewer. Where all groups have one size, and so without groups, every row is used once.

    Parameters
    ----------
    keys
        Group of each pair, numbers from 0 without gaps; all different to shuffle pair by pair.
    draws, seed
        Number of pairings and the seed; draw i is the same however many there are.
    """
    n, sizes = len(keys), np.bincount(keys)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(keys, kind="stable")] = np.arange(n) - np.repeat(starts, sizes)
    for draw in range(draws):
        generator = np.random.default_rng(np.random.SeedSequence([seed, draw]))
        met = generator.permutation(len(sizes))[keys]
        members = np.lexsort((generator.random(n), keys))
        yield members[starts[met] + rank % sizes[met]].astype(np.int32)


class ChanceOfBest:
    """p-values of each feature's best bridge, from its best bridges over shuffled pairs.

    A feature's best of many partners has a distribution of its own: features that fire rarely meet high
    correlations by chance, and no normal approximation holds for them. Half of the shuffles give each feature its
    mean and spread; the observed value and the other half are then measured in these, and the p-value is the
    share of *all* features' shuffled values that reach the observed one. Pooling gives p-values fine enough for
    a correction over thousands of features: by construction, on shuffled pairs a share p of features comes to
    p or less. The pooling is that of significance analysis of microarrays (Tusher et al. 2001), and so is the
    constant, the median spread, added to every spread so that features of tiny spread do not rule the tail.

    Parameters
    ----------
    null
        Best bridge of each feature in each shuffle, (b, f).
    """

    def __init__(self, null: Float[np.ndarray, "b f"]) -> None:
        calibration, pool = np.array_split(null, 2)
        self._mean = calibration.mean(axis=0)
        spread = calibration.std(axis=0)
        self._spread = spread + (np.median(spread) if spread.size else 0.0)
        self._spread[self._spread == 0] = 1.0
        self._pool = np.sort(self._standardised(pool), axis=None)

    def p_values(self, best: Float[np.ndarray, " f"]) -> Float[np.ndarray, " f"]:
        """Chance, in (0, 1], of a best bridge as strong as each feature's; small is strong evidence."""
        reached = len(self._pool) - np.searchsorted(self._pool, self._standardised(best) - _TIE)
        share: np.ndarray = (1 + reached) / (1 + len(self._pool))
        return share

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = (values - self._mean) / self._spread
        return scaled
