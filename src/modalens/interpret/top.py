"""Which samples each feature responds to most."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float32, Int, Int64

from modalens.arrays import Block, Matrix, default_block_rows, iter_blocks, matrix_shape
from modalens.compiled import cores, on_cores
from modalens.interpret.kernels import rank_dense, rank_sparse
from modalens.statistics.checks import DEFAULT_RANKING, check_ranking, check_whole
from modalens.statistics.groups import group_keys


@dataclass(frozen=True, eq=False)
class TopSamples:
    """The strongest samples of every feature, strongest first; equal ones in the order of their rows.

    Attributes
    ----------
    rows
        Rows of the samples, (f, m); -1 where a feature has fewer.
    values
        What the feature gives them, signs kept, (f, m); NaN where a feature has fewer.
    fired
        Number of samples in which the feature is not 0, (f,).
    constant
        True where the feature has one value for all samples, (f,), so that their order says nothing.
    by
        What they are ranked by, ``value`` or ``magnitude``.
    """

    rows: Int64[np.ndarray, "f m"]
    values: Float32[np.ndarray, "f m"]
    fired: Int64[np.ndarray, " f"]
    constant: Bool[np.ndarray, " f"]
    by: str

    @cached_property
    def counts(self) -> Int64[np.ndarray, " f"]:
        """Number of samples listed for each feature, 0 to m."""
        counts: np.ndarray = (self.rows >= 0).sum(axis=1)
        return counts


def top_samples(
    x: Matrix,
    m: int = 20,
    by: str = DEFAULT_RANKING,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    block_rows: int | None = None,
) -> TopSamples:
    """Find the samples that every feature responds to most, in one pass.

    Only samples in which a feature fires are listed: those not 0 by magnitude, those over 0 by value. The
    exception is a signed feature of a dense matrix by value, one that is negative somewhere: it has no rest
    state at 0, so all samples are ranked. (In a sparse matrix an entry that is not stored is a feature that
    does not fire, so there values under 0 are never among the strongest by value.)

    Parameters
    ----------
    x
        Features of one modality, (n, f), dense or sparse.
    m
        Samples to list for each feature.
    by
        ``magnitude``: the largest absolute values; ``value``: the largest values. For features that are never
        negative both are the same.
    groups
        One label a sample. Samples of one group are copies (captions of one image, a picture under two names): the
        strongest of each group is listed alone, the first of equal ones.
    block_rows
        Samples read at a time; the result does not depend on it. Memory is f times m and a block.

    Returns
    -------
    TopSamples
        Rows and values, (f, m), strongest first.

    Raises
    ------
    ModalensError
        If the matrix is empty or holds NaN or infinite values, there is not one group label for each sample, or a
        setting is out of range.
    """
    m = check_whole("m", m, 1)
    check_ranking(by)
    n, n_features = matrix_shape(x, "The feature matrix")
    keys = np.arange(n) if groups is None else group_keys(groups, n)
    sparse = sp.issparse(x) or sp.issparse(x[:1])
    running = _Strongest(n_features, m, by, keys, over=-np.inf if by == "value" and not sparse else 0.0)
    rows = default_block_rows(x) if block_rows is None else check_whole("block_rows", block_rows, 1)
    for start, block in iter_blocks(x, rows, "feature"):
        running.add(start, block)
    return running.result()


class _Strongest:
    """The strongest samples so far: rows, values, and what tells a constant or a one-signed feature."""

    def __init__(self, n_features: int, m: int, by: str, keys: Int[np.ndarray, " n"], over: float) -> None:
        self._by = by
        copies = int(keys.max()) + 1 < len(keys)
        self._keys = keys if copies else keys[:0]
        self._rows = np.full((n_features, m), -1, dtype=np.int64)
        self._values = np.full((n_features, m), np.nan)
        # What samples are ranked by; a place not yet taken is as weak as what is never listed.
        self._strength = np.full((n_features, m), over)
        self._fired = np.zeros(n_features, dtype=np.int64)
        self._lowest = np.full(n_features, np.inf)
        self._highest = np.full(n_features, -np.inf)
        ends = np.linspace(0, n_features, cores() + 1).astype(int).tolist()
        self._parts = list(pairwise(ends))
        self._sparse_rows = 0

    def add(self, start: int, block: Block) -> None:
        """Merge a block whose rows come after all rows so far."""
        state = (self._rows, self._values, self._strength, self._fired, self._lowest, self._highest)
        ranking = (start, self._by == "magnitude", self._keys)
        if sp.issparse(block):
            self._sparse_rows += block.shape[0]
            by_feature = block.tocsc()  # a list is then in the cache for all its entries
            entries = (by_feature.data, by_feature.indices, by_feature.indptr)
            on_cores(rank_sparse, ((*entries, *ranking, *part, *state) for part in self._parts))
        else:
            on_cores(rank_dense, ((block, *ranking, *part, *state) for part in self._parts))

    def result(self) -> TopSamples:
        unstored = self._fired < self._sparse_rows
        lowest = np.where(unstored, np.minimum(self._lowest, 0), self._lowest)
        highest = np.where(unstored, np.maximum(self._highest, 0), self._highest)
        # A dense feature that is never negative rests at 0: samples that leave it there are not strong ones.
        resting = (lowest >= 0)[:, None] & (self._values == 0)
        self._rows[resting], self._values[resting] = -1, np.nan
        return TopSamples(
            rows=self._rows,
            values=self._values.astype(np.float32),
            fired=self._fired,
            constant=lowest == highest,
            by=self._by,
        )
