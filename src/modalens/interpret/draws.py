"""Random samples, to put beside the strongest ones."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, Int64

# Features scored together, and drawn for from one generator: large enough that a read is worth its cost.
_CHUNK = 256


def random_samples(
    n_features: int, keys: Int[np.ndarray, " n"], width: int, draws: int, seed: int
) -> Iterator[tuple[Int64[np.ndarray, " c"], list[Int64[np.ndarray, "c w"]]]]:
    """Chunks of features with their random samples of every draw: of random groups a random member each.

    Within a draw no group comes twice, and the first samples of a draw are a draw of fewer. A feature's samples do
    not depend on how many features or further draws there are.

    Parameters
    ----------
    n_features
        Features to draw for.
    keys
        Group of each sample, numbers from 0 without gaps; all different where every sample is its own group.
    width, draws, seed
        Samples of a draw, at most the number of groups; draws of each feature; and the seed.
    """
    order, sizes = np.argsort(keys, kind="stable"), np.bincount(keys)
    starts = np.cumsum(sizes) - sizes
    for first in range(0, n_features, _CHUNK):
        generator = np.random.default_rng([seed, first // _CHUNK])
        features = np.arange(first, min(first + _CHUNK, n_features))
        drawn = []
        for _ in range(draws):
            groups = distinct_numbers(generator, _CHUNK, len(sizes), width)
            places = starts[groups]
            if len(sizes) < len(keys):
                places = places + (generator.random(groups.shape) * sizes[groups]).astype(np.int64)
            drawn.append(order[places][: len(features)])
        yield features, drawn


def distinct_numbers(
    generator: np.random.Generator, sets: int, n: int, width: int
) -> Int64[np.ndarray, "s w"]:
    """Sets of distinct numbers under n, each ordered set as likely as any other (Floyd's algorithm, then a shuffle)."""
    chosen = np.empty((sets, width), dtype=np.int64)
    for place in range(width):
        newest = n - width + place
        pick = generator.integers(0, newest + 1, size=sets)
        taken = (chosen[:, :place] == pick[:, None]).any(axis=1)
        chosen[:, place] = np.where(taken, newest, pick)
    shuffled: np.ndarray = generator.permuted(chosen, axis=1)
    return shuffled
