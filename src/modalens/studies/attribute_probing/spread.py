"""Samples evenly spread over the order of a number."""

import numpy as np
from jaxtyping import Float, Int

SAMPLES = 8


def spread_out(
    share: Float[np.ndarray, " n"], keys: Int[np.ndarray, " n"], count: int = SAMPLES, seed: int = 0
) -> Int[np.ndarray, " k"]:
    """Places of samples evenly spread over the order of a number, lowest first, one of each group.

    Parameters
    ----------
    share
        The number; NaN leaves a sample out.
    keys
        Samples that share a key are of one group, of which one is drawn.
    count
        How many; all where there are fewer groups.
    seed
        Of the draw within groups.
    """
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(~np.isnan(share)))
    one_each = shuffled[np.unique(keys[shuffled], return_index=True)[1]]
    ordered = one_each[np.argsort(share[one_each], kind="stable")]
    places = np.unique(np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(np.int64))
    chosen: np.ndarray = ordered[places] if len(ordered) else ordered
    return chosen
