"""Which samples each feature responds to most."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float32, Int64

from modalens.arrays import Block, Matrix, default_block_rows, iter_blocks, matrix_shape
from modalens.statistics.checks import check_ranking, check_whole


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


def top_samples(x: Matrix, m: int = 20, by: str = "value", *, block_rows: int | None = None) -> TopSamples:
    """Find the samples that every feature responds to most, in one pass.

    Only samples in which a feature fires are listed: those over 0 by value, those not 0 by magnitude. The
    exception is a signed feature of a dense matrix by value, one that is negative somewhere: it has no rest
    state at 0, so all samples are ranked. (In a sparse matrix an entry that is not stored is a feature that
    does not fire, so there values under 0 are never among the strongest by value.)

    Parameters
    ----------
    x
        Features of one modality, (n, f), dense or sparse. Give one row per image or per text: a sample that
        appears in several rows can take several places.
    m
        Samples to list for each feature.
    by
        ``value``: the largest values; ``magnitude``: the largest absolute values.
    block_rows
        Samples read at a time; the result does not depend on it. Memory is f times m and a block.

    Returns
    -------
    TopSamples
        Rows and values, (f, m), strongest first.

    Raises
    ------
    ModalensError
        If the matrix is empty or holds NaN or infinite values, or a setting is out of range.
    """
    m = check_whole("m", m, 1)
    check_ranking(by)
    _, n_features = matrix_shape(x, "The feature matrix")
    sparse = sp.issparse(x) or sp.issparse(x[:1])
    running = _Strongest(n_features, m, by, over=-np.inf if by == "value" and not sparse else 0.0)
    rows = default_block_rows(x) if block_rows is None else check_whole("block_rows", block_rows, 1)
    for start, block in iter_blocks(x, rows, "feature"):
        running.add(start, block)
    return running.result()


class _Strongest:
    """The strongest samples so far: rows, values, and what tells a constant or a one-signed feature."""

    def __init__(self, n_features: int, m: int, by: str, over: float) -> None:
        self._m, self._by, self._over = m, by, over
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
        rows, features, values = self._candidates(block)
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

    def _candidates(self, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
        if len(block) > self._m:  # leave out what m samples of its own block are stronger than
            beats &= strength >= np.partition(strength, -self._m, axis=0)[-self._m]
        rows, features = np.nonzero(beats)
        return rows, features, block[rows, features]

    def _merge(self, rows: np.ndarray, features: np.ndarray, values: np.ndarray) -> None:
        touched, owner = np.unique(features, return_inverse=True)
        # What was there comes first and sorting is stable, so that equal samples stay in the order of rows.
        owner = np.concatenate([np.repeat(np.arange(len(touched)), self._m), owner])
        rows = np.concatenate([self._rows[touched].ravel(), rows])
        values = np.concatenate([self._values[touched].ravel(), values])
        order = np.lexsort((-self._strength(values), owner))
        starts = np.searchsorted(owner[order], np.arange(len(touched)))
        best = order[starts[:, None] + np.arange(self._m)]  # every owner has at least its m old places
        self._rows[touched], self._values[touched] = rows[best], values[best]
