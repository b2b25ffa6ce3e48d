"""Random samples, to put beside the strongest ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from modalens.interpret.kernels import distinct

# Features scored together, and drawn for from one generator: large enough that a read is worth its cost.
_CHUNK = 256


class RandomSamples(Sequence):
    """Chunks of features with their random samples of every draw: of random groups a random member each.

    Within a draw no group comes twice, and the first samples of a draw are a draw of fewer. A feature's samples do
    not depend on how many features or further draws there are. Each chunk is drawn when it is asked for.

    Parameters
    ----------
    n_features
        Features to draw for.
    keys
        Group of each sample, numbers from 0 without gaps; all different where every sample is its own group.
    width, draws, seed
        Samples of a draw, at most the number of groups; draws of each feature; and the seed.
    """

    def __init__(
        self, n_features: int, keys: Int[np.ndarray, " n"], width: int, draws: int, seed: int
    ) -> None:
        self._n_features, self._width, self._draws, self._seed = n_features, width, draws, seed
        self._order, self._sizes = np.argsort(keys, kind="stable"), np.bincount(keys)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def __len__(self) -> int:
        return -(-self._n_features // _CHUNK)

    def __getitem__(self, chunk: Any) -> tuple[Int64[np.ndarray, " c"], Int64[np.ndarray, "r c w"]]:
        """Features of a chunk, and their samples in each draw."""
        if chunk not in range(len(self)):
            raise IndexError(f"there are {len(self)} chunks")
        generator = np.random.default_rng([self._seed, chunk])
        first, sizes = chunk * _CHUNK, self._sizes
        features = np.arange(first, min(first + _CHUNK, self._n_features))
        drawn = np.empty((self._draws, len(features), self._width), dtype=np.int64)
        for draw in range(self._draws):
            groups = distinct_numbers(generator, _CHUNK, len(sizes), self._width)
            places = self._starts[groups]
            if len(sizes) < len(self._order):
                places = places + (generator.random(groups.shape) * sizes[groups]).astype(np.int64)
            drawn[draw] = self._order[places][: len(features)]
        return features, drawn


def distinct_numbers(
    generator: np.random.Generator, sets: int, n: int, width: int
) -> Int64[np.ndarray, "s w"]:
    """Sets of distinct numbers under n, each ordered set as likely as any other (Floyd's algorithm, then a shuffle)."""
    newest = np.arange(n - width, n)
    picks = generator.integers(0, newest[:, None] + 1, size=(width, sets))
    shuffled: np.ndarray = generator.permuted(distinct(picks, n), axis=1)
    return shuffled
