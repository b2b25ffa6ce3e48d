"""How well a line tells the two modalities apart."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block
from modalens.compiled import on_cores, one_blas_thread
from modalens.dominance.gap_sums import directions
from modalens.dominance.kernels import suits, unit_rows
from modalens.errors import ModalensError
from modalens.statistics.design import Design, standardised
from modalens.statistics.intervals import Estimate, share_interval
from modalens.statistics.logistic import LogisticRegressions, curvature_factor

MAX_PAIRS = 5_000
_NULL_DRAWS = 5
# The penalty, in the terms of scikit-learn's LogisticRegression.
_C = 1.0
# So far from its minimum the objective of n samples stops, (5e-7 n)^2 and at most 1e-5: predictions that differ from
# those at the minimum are under 1 in 400, half of them for the better.
_PER_SAMPLE, _FURTHEST = 5e-7, 1e-5


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
            image, text = image[here], text[here]
            if suits(image, text) and not sp.issparse(image):
                self._blocks.append((unit_rows(image), unit_rows(text)))
            else:
                units = directions(start, image, text)
                self._blocks.append((units[0].astype(np.float32), units[1].astype(np.float32)))

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
        keys = self._rows if keys is None else keys[self._rows]
        held_out = self._split(keys)
        train, test = (self._picked(rows) for rows in (~held_out, held_out))
        labels = np.stack([np.ones(len(keys), dtype=np.float32), -np.ones(len(keys), dtype=np.float32)])

        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        group = np.unique(keys, return_inverse=True)[1]
        swaps = [
            random.choice([-1.0, 1.0], group.max() + 1).astype(np.float32)[group]
            for _ in range(min(resamples, _NULL_DRAWS))
        ]
        # In two parts, which converge in unlike numbers of steps and can run side by side.
        ways = [labels[:, :, None], *([labels[:, :, None] * np.stack(swaps, axis=1)] if swaps else [])]
        right = _right(
            *standardised(train, test),
            [
                (way[:, ~held_out].reshape(-1, way.shape[2]), way[:, held_out].reshape(-1, way.shape[2]))
                for way in ways
            ],
            2 * len(keys),
        )
        null = [float(share) for each in right[1:] for share in each.mean(axis=0)]
        return share_interval(right[0][:, 0], np.tile(keys[held_out], 2)), null

    def _picked(self, wanted: Bool[np.ndarray, " n"]) -> Block:
        """Some pairs, all of one side first."""
        ends = np.cumsum([pair[0].shape[0] for pair in self._blocks])[:-1]
        of_block = np.split(wanted, ends)
        blocks = [
            pair[side][rows] for side in (0, 1) for pair, rows in zip(self._blocks, of_block, strict=True)
        ]
        return sp.vstack(blocks, format="csr") if sp.issparse(blocks[0]) else np.concatenate(blocks)

    def _split(self, keys: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        distinct = np.unique(keys)
        if len(distinct) < 2:
            raise ModalensError(
                "All pairs are in one group; separability needs at least 2 groups, to hold one out."
            )
        return np.isin(keys, self._random.permutation(distinct)[: len(distinct) // 2])


def _right(
    train: Design, test: Design, ways: Sequence[tuple[np.ndarray, np.ndarray]], n_samples: int
) -> list[Float[np.ndarray, "h K"]]:
    """Whether each held-out sample is told right, as 0 or 1, for some ways to label the training and held-out ones."""
    covariance, ridge = train.covariance(), 1 / (_C * len(train))
    factor = None if covariance is None else curvature_factor(covariance, ridge)
    tolerance = min(_FURTHEST, (_PER_SAMPLE * n_samples) ** 2)

    def one(labels: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        weights = LogisticRegressions(train, labels, ridge, factor).fitted(tolerance)
        right: np.ndarray = ((test.logits(weights) > 0) == (held_out > 0)).astype(np.float64)
        return right

    with one_blas_thread():
        return on_cores(one, ways)
