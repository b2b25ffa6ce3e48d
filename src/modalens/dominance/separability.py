"""How well a line tells the two modalities apart."""

import warnings
from collections.abc import Sequence
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Int

from modalens.arrays import Block
from modalens.dominance.gap_sums import directions
from modalens.errors import ModalensError
from modalens.statistics.intervals import Estimate, share_interval

MAX_PAIRS = 5_000
_NULL_DRAWS = 5
# Swapped labels can be told apart only by memorising, which converges slowly and changes nothing held out.
_NULL_ITERATIONS = 50


class PairSample:
    """Random pairs, picked by the seed before the walk over the data and collected during it."""

    def __init__(self, n_pairs: int, seed: int) -> None:
        self._random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        size = min(MAX_PAIRS, n_pairs)
        self._rows = np.sort(self._random.choice(n_pairs, size, replace=False))
        self._blocks: list[tuple[Block, Block]] = []

    def collect(self, start: int, image: Block, text: Block) -> None:
        """Keep the directions of the picked pairs of a block."""
        first, last = np.searchsorted(self._rows, [start, start + image.shape[0]])
        if last > first:
            here = self._rows[first:last] - start
            self._blocks.append(directions(start, image[here], text[here]))

    def merge(self, other: Self) -> None:
        """Take what was collected from the blocks that follow."""
        self._blocks += other._blocks

    def separability(
        self, keys: Int[np.ndarray, " n"] | None, resamples: int, seed: int
    ) -> tuple[Estimate, Sequence[float]]:
        """Held-out accuracy of telling the modalities apart.

        Parameters
        ----------
        keys
            Draw keys of all pairs; pairs that share one are on one side of the split. By default their rows.
        resamples, seed
            As for :func:`modalens.dominance.modality_gap`; there are at most five draws of the null.

        Returns
        -------
        accuracy
            In [0.5, 1] but for chance; 1 where a line separates the modalities, 0.5 where it cannot. With its
            interval by group, which says how well the held-out pairs tell it.
        null
            The same with labels swapped at random within pairs, a few draws.
        """
        from sklearn.preprocessing import StandardScaler

        keys = self._rows if keys is None else keys[self._rows]
        held_out = self._split(keys)
        image, text = (_stack([pair[side] for pair in self._blocks]) for side in (0, 1))
        everything = (
            sp.vstack([image, text], format="csr") if sp.issparse(image) else np.vstack([image, text])
        )
        held_out_twice = np.tile(held_out, 2)
        # A sparse matrix is scaled but not centred; the free intercept makes up for it.
        scaler = StandardScaler(with_mean=not sp.issparse(everything)).fit(everything[~held_out_twice])
        everything = scaler.transform(everything)
        labels = np.repeat([1.0, -1.0], len(keys))

        correct = _correct(everything, labels, held_out_twice, max_iter=1_000)
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        group = np.unique(keys, return_inverse=True)[1]
        null = []
        for _ in range(min(resamples, _NULL_DRAWS)):
            swap = random.choice([-1.0, 1.0], group.max() + 1)[group]
            guessed = _correct(everything, labels * np.tile(swap, 2), held_out_twice, _NULL_ITERATIONS)
            null.append(float(guessed.mean()))
        return share_interval(correct, np.tile(keys[held_out], 2)), null

    def _split(self, keys: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        distinct = np.unique(keys)
        if len(distinct) < 2:
            raise ModalensError(
                "All pairs are in one group; separability needs at least 2 groups, to hold one out."
            )
        return np.isin(keys, self._random.permutation(distinct)[: len(distinct) // 2])


def _correct(samples: Block, labels: np.ndarray, held_out: np.ndarray, max_iter: int) -> np.ndarray:
    """Whether each held-out sample is classified right, as 0 or 1."""
    # Imported here, since it takes two seconds and every worker imports this module.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(samples[~held_out], labels[~held_out])
    right: np.ndarray = (model.predict(samples[held_out]) == labels[held_out]).astype(np.float64)
    return right


def _stack(blocks: list[Block]) -> Block:
    return sp.vstack(blocks, format="csr") if sp.issparse(blocks[0]) else np.vstack(blocks)
