"""Random draws over pairs: bootstrap weights, label swaps, and the intervals they give.

Every draw belongs to a key (the row of a pair, or the group it is in) and not to a position in a block, so
it does not matter how the rows are cut into blocks or shards.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.errors import ModalensError

# Keys that share one generator: enough to make its set-up cheap, few enough that a block whose groups are
# scattered over the whole data does not draw much that it will not use.
_CHUNK = 64


def check_resampling(resamples: int, seed: int) -> tuple[int, int]:
    """Both as plain integers, if they are whole numbers of at least 0."""
    for name, value in (("resamples", resamples), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ModalensError(f"{name} must be a whole number of at least 0, not {value!r}.")
    return int(resamples), int(seed)


def group_keys(groups: Sequence[Any] | np.ndarray, n_pairs: int) -> Int[np.ndarray, " n"]:
    """Draw key of every pair: a number that the pairs of one group share.

    Raises
    ------
    ModalensError
        If there is not exactly one group label for each pair.
    """
    if getattr(groups, "ndim", 1) != 1:
        raise ModalensError(
            f"groups must be one label for each pair, not an array of shape {np.shape(groups)}."
        )
    labels = pd.Series(groups).to_numpy()
    if len(labels) != n_pairs:
        raise ModalensError(
            f"groups has {len(labels)} labels for {n_pairs} pairs; give one label for each pair."
        )
    keys, _ = pd.factorize(labels)
    if (keys < 0).any():
        raise ModalensError(
            f"The pair in row {int(np.argmin(keys))} has no group label; give one for each pair."
        )
    return keys.astype(np.int64)


def draw(
    keys: Int[np.ndarray, " n"], resamples: int, seed: int
) -> tuple[Float[np.ndarray, "n r"], Float[np.ndarray, "n r"]]:
    """Bootstrap weights and label-swap signs of some pairs.

    Returns
    -------
    weights
        Poisson(1) counts: how often each resample takes the pair.
    signs
        +1 where a swap draw leaves the pair's labels alone, -1 where it swaps them.
    """
    weights = np.empty((len(keys), resamples))
    signs = np.empty((len(keys), resamples))
    order = np.argsort(keys, kind="stable")
    chunks, starts = np.unique(keys[order] // _CHUNK, return_index=True)
    for chunk, rows in zip(chunks, np.split(order, starts[1:]), strict=True):
        generator = np.random.default_rng(np.random.SeedSequence([seed, int(chunk)]))
        within = keys[rows] % _CHUNK
        weights[rows] = generator.poisson(1.0, (_CHUNK, resamples))[within]
        signs[rows] = generator.choice([-1.0, 1.0], (_CHUNK, resamples))[within]
    return weights, signs


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
