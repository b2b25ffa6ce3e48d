"""Which samples each feature responds to most."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Float32, Int, Int64

from modalens.arrays import Block, Matrix, default_block_rows, iter_blocks, matrix_shape
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
        self._m, self._by, self._keys, self._over = m, by, keys, over
        self._copies = int(keys.max()) + 1 < len(keys)
        self._rows = np.full((n_features, m), -1, dtype=np.int64)
        self._values = np.full((n_features, m), np.nan)
        self._fired = np.zeros(n_features, dtype=np.int64)
        self._lowest = np.full(n_features, np.inf)
        self._highest = np.full(n_features, -np.inf)

    def add(self, start: int, block: Block) -> None:
        """Merge a block whose rows come after all rows so far."""
        n_features = len(self._fired)
        if sp.issparse(block):
            self._fired += np.bincount(block.indices, minlength=n_features)
            lowest, highest = (
                extreme.toarray().ravel() for extreme in (block.min(axis=0), block.max(axis=0))
            )
        else:
            self._fired += np.count_nonzero(block, axis=0)
            lowest, highest = block.min(axis=0), block.max(axis=0)
        np.minimum(self._lowest, lowest, out=self._lowest)
        np.maximum(self._highest, highest, out=self._highest)
        rows, features, values = self._candidates(block, self._keys[start : start + block.shape[0]])
        self._merge(start + rows, features, values)

    def result(self) -> TopSamples:
        # A dense feature that is never negative rests at 0: samples that leave it there are not strong ones.
        resting = (self._lowest >= 0)[:, None] & (self._values == 0)
        self._rows[resting], self._values[resting] = -1, np.nan
        return TopSamples(
            rows=self._rows,
            values=self._values.astype(np.float32),
            fired=self._fired,
            constant=self._lowest == self._highest,
            by=self._by,
        )

    def _strength(self, values: np.ndarray) -> np.ndarray:
        """What samples are ranked by; a place not yet taken is as weak as what is never listed."""
        strength = np.abs(values) if self._by == "magnitude" else values
        return np.where(np.isnan(values), self._over, strength)

    def _candidates(
        self, block: Block, keys: Int[np.ndarray, " n"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Entries that beat a feature's weakest place, as (row, feature, value), rows ascending.

        The weakest place stays against an equal entry, since its row comes first.
        """
        weakest = self._strength(self._values[:, -1])
        if sp.issparse(block):
            rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
            beats = self._strength(block.data) > weakest[block.indices]
            return rows[beats], block.indices[beats].astype(np.int64), block.data[beats]
        strength = self._strength(block)
        beats = strength > weakest
        strongest = _strongest_of_groups(strength, keys)
        if len(strongest) > self._m:  # leave out what m groups of its own block are stronger than
            beats &= strength >= np.partition(strongest, -self._m, axis=0)[-self._m]
        rows, features = np.nonzero(beats)
        return rows, features, block[rows, features]

    def _merge(self, rows: np.ndarray, features: np.ndarray, values: np.ndarray) -> None:
        touched, owner = np.unique(features, return_inverse=True)
        # What was there comes first and sorting is stable, so that equal samples stay in the order of rows.
        owner = np.concatenate([np.repeat(np.arange(len(touched)), self._m), owner])
        rows = np.concatenate([self._rows[touched].ravel(), rows])
        values = np.concatenate([self._values[touched].ravel(), values])
        order = np.lexsort((-self._strength(values), owner))
        if self._copies:
            order = order[self._first_of_groups(owner[order], rows[order])]
        starts = np.searchsorted(owner[order], np.arange(len(touched)))
        best = order[starts[:, None] + np.arange(self._m)]  # every owner has at least its m old places
        self._rows[touched], self._values[touched] = rows[best], values[best]

    def _first_of_groups(self, owner: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Places of the first sample of each group of each owner, ascending; places not yet taken all stay."""
        free = rows < 0
        group = np.where(free, len(self._keys) + np.arange(len(rows)), self._keys[rows])
        _, first = np.unique(owner * (len(self._keys) + len(rows)) + group, return_index=True)
        return np.sort(first)


def _strongest_of_groups(
    strength: Float[np.ndarray, "n f"], keys: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "g f"]:
    """The largest strength of each group, for every feature."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    if len(starts) == len(keys):
        return strength
    largest: np.ndarray = np.maximum.reduceat(strength[order], starts, axis=0)
    return largest
