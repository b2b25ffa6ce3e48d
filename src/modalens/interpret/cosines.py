"""How alike samples are to the model that judges them."""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int, Int64
from scipy.sparse.linalg import norm as sparse_norms

from modalens.arrays import Matrix, default_block_rows, iter_blocks, read_rows
from modalens.errors import ModalensError
from modalens.interpret.kernels import cosines_within
from modalens.statistics.buckets import add_by_cell

# Rows read together where they are averaged by group.
_ROWS = 4096


class SampleCosines:
    """Cosines between the rows of a matrix, which stays where it lies: only the norms are held.

    Parameters
    ----------
    embeddings
        One row per sample, (n, d), not normalised or normalised.

    Raises
    ------
    ModalensError
        If a row is NaN, infinite or all zeros; the sentence names the first such row.
    """

    def __init__(self, embeddings: Matrix) -> None:
        self._matrix = embeddings.tocsr() if sp.issparse(embeddings) else embeddings
        norms: list[np.ndarray] = []
        for start, block in iter_blocks(self._matrix, default_block_rows(self._matrix), "sample embedding"):
            norms.append(sparse_norms(block, axis=1) if sp.issparse(block) else np.linalg.norm(block, axis=1))
            if not norms[-1].all():
                raise ModalensError(
                    f"The sample in row {start + int(np.argmin(norms[-1]))} has no embedding: its values are all 0; "
                    "leave that sample out or embed it again."
                )
        self._norms = np.concatenate(norms)

    def between(self, rows: Int64[np.ndarray, "f m"]) -> Float[np.ndarray, "f p"]:
        """Cosines within sets of samples: the pairs i < j of each set, in the order of ``np.triu_indices``."""
        norms = self._norms[rows]
        if isinstance(self._matrix, np.ndarray) and self._matrix.dtype in (np.float32, np.float64):
            return cosines_within(np.asarray(self._matrix), rows, norms)
        block = read_rows(self._matrix[rows.ravel()], 0, rows.size, "sample embedding")
        dense = block.toarray() if sp.issparse(block) else block
        return cosines_within(dense, np.arange(rows.size).reshape(rows.shape), norms)

    def by_chance(
        self, keys: Int[np.ndarray, " n"], blocks: Int[np.ndarray, " g"], without: Sequence[tuple[int, ...]]
    ) -> list[float]:
        """Mean cosine of two random samples of different groups, exactly.

        A random sample is a random member of a random group. With v the mean of the unit embeddings of each of G
        groups the mean cosine is (``|sum v|^2 - sum |v|^2``) / (G (G - 1)).

        Parameters
        ----------
        keys
            Group of each sample, numbers from 0 without gaps.
        blocks
            Block of each group, numbers from 0 without gaps.
        without
            Blocks to leave out in turn.

        Returns
        -------
        list
            The mean over all groups, then those without the blocks; NaN where fewer than two groups are left.
        """
        groups = np.bincount(blocks)
        sums = np.zeros((len(groups), int(self._matrix.shape[1])))
        squares = np.zeros(len(groups))
        for first, means in self._means_of_groups(keys):
            mine = blocks[first : first + means.shape[0]]
            add_by_cell(sums, mine, means)
            squared = means.power(2) if sp.issparse(means) else means**2
            squares += np.bincount(mine, weights=squared.sum(axis=1), minlength=len(groups))
        found = []
        for left_out in ((), *without):
            kept = ~np.isin(np.arange(len(groups)), left_out)
            number = int(groups[kept].sum())
            both = float((sums[kept].sum(axis=0) ** 2).sum() - squares[kept].sum())
            found.append(both / (number * (number - 1)) if number > 1 else np.nan)
        return found

    def _means_of_groups(self, keys: Int[np.ndarray, " n"]) -> Iterator[tuple[int, Matrix]]:
        """Means of the unit embeddings of the groups, some at a time, with the first of them."""
        order = np.argsort(keys, kind="stable")
        sizes = np.bincount(keys)
        ends = np.append(0, np.cumsum(sizes))
        first = 0
        while first < len(sizes):
            last = max(first + 1, int(np.searchsorted(ends, ends[first] + _ROWS, side="right")) - 1)
            rows = order[ends[first] : ends[last]]
            block = read_rows(self._matrix[rows], 0, len(rows), "sample embedding")
            share = 1 / (self._norms[rows] * sizes[keys[rows]])
            places = (keys[rows] - first, np.arange(len(rows)))
            yield first, sp.csr_array((share, places), shape=(last - first, len(rows))) @ block
            first = last
