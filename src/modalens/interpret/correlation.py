"""Correlations over pairs between features of one side and features of the other, from dense or sparse codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block, Matrix, default_block_rows, iter_blocks
from modalens.interpret.bridge_kernels import best_of_pairing

# Under this share of its own size, what a feature varies by is rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Side:
    """Some features of one side over n pairs, scaled so that products of two sides are correlations.

    Attributes
    ----------
    values
        (n, f) without the scale: float64, dense with columns of mean 0, or CSR as it came.
    offset
        sqrt(n) times the mean of each column of ``values``, (f,): what a sparse column, which cannot be
        centred, has too much; 0 for dense ones.
    varies
        Features that are not constant over the pairs, (f,). The others are all 0 here.
    rest
        What 0 has become in ``values``, (f,): where a feature does not fire.
    """

    values: Any
    offset: Float[np.ndarray, " f"]
    varies: Bool[np.ndarray, " f"]
    rest: Float[np.ndarray, " f"]

    def paired(self, order: Int[np.ndarray, " n"]) -> "Side":
        """The same with row ``order[p]`` in the place of row p."""
        if np.array_equal(order, np.arange(len(order))):
            return self
        if sp.issparse(self.values):
            return _sparse_side(self.values[order])
        return _dense_side(self.values[order], self.rest)


class Pairing(NamedTuple):
    """Which row of the right side each row of the left one is paired with, and how the right looks through it.

    Attributes
    ----------
    order
        Row ``order[p]`` of the right is the pair of row p of the left, (n,).
    offset
        :attr:`Side.offset` of the right as paired, (f,).
    scale
        What products with the right are to be multiplied by, (f,); None for 1, where each row is paired once.
    """

    order: Int[np.ndarray, " n"]
    offset: Float[np.ndarray, " f"]
    scale: Float[np.ndarray, " f"] | None


class Entries(NamedTuple):
    """Entries of a block of correlations; features that never fire in one pair have none if both are sparse."""

    rows: Int[np.ndarray, " nnz"]
    columns: Int[np.ndarray, " nnz"]
    values: Float[np.ndarray, " nnz"]


def read_side(
    matrix: Matrix, features: Int[np.ndarray, " f"], chosen: Bool[np.ndarray, " n"], name: str
) -> Side:
    """Read some features of some pairs, block by block, and scale them.

    Raises
    ------
    ModalensError
        If a value is NaN or infinite.
    """
    parts = []
    for start, block in iter_blocks(matrix, default_block_rows(matrix), name):
        parts.append(block[np.flatnonzero(chosen[start : start + block.shape[0]])][:, features])
    if sp.issparse(parts[0]):
        return _sparse_side(sp.csr_array(sp.vstack(parts, format="csr")))
    return _dense_side(np.concatenate(parts))


def _dense_side(values: Block, rest: Float[np.ndarray, " f"] | float = 0.0) -> Side:
    peaks = _positive(np.abs(values).max(axis=0, initial=0.0))
    values, rest = values / peaks, rest / peaks
    size = np.linalg.norm(values, axis=0)
    mean = values.mean(axis=0)
    values, rest = values - mean, rest - mean
    spread = np.linalg.norm(values, axis=0)
    varies = spread > _ROUNDING * size
    values, rest = (np.where(varies, each / _positive(spread), 0.0) for each in (values, rest))
    return Side(values, np.zeros(len(varies)), varies, rest)


def _sparse_side(codes: sp.csr_array) -> Side:
    n, f = codes.shape
    features = codes.indices
    peaks = np.zeros(f)
    np.maximum.at(peaks, features, np.abs(codes.data))
    values = codes.data / _positive(peaks)[features]
    mean = np.bincount(features, weights=values, minlength=f) / n
    fired = np.bincount(features, minlength=f)
    size = np.sqrt(np.bincount(features, weights=values**2, minlength=f))
    squares = np.bincount(features, weights=(values - mean[features]) ** 2, minlength=f)
    spread = np.sqrt(squares + (n - fired) * mean**2)
    varies = spread > _ROUNDING * size
    scale = np.where(varies, 1 / _positive(spread), 0.0)
    scaled = sp.csr_array((values * scale[features], codes.indices, codes.indptr), shape=codes.shape)
    scaled.eliminate_zeros()
    return Side(scaled, np.sqrt(n) * mean * scale, varies, np.zeros(f))


class Correlations:
    """Pearson correlations over pairs of every feature of one side with every feature of the other.

    Parameters
    ----------
    left, right
        Features of the two sides over the same n pairs; blocks hold some features of the left and all of the
        right.
    """

    def __init__(self, left: Side, right: Side) -> None:
        turned = left.values.T
        self._left: Any = turned.tocsr() if sp.issparse(turned) else np.ascontiguousarray(turned)
        self._right: Any = right.values
        self._offsets = left.offset, right.offset
        self.shape: tuple[int, int] = (self._left.shape[0], self._right.shape[1])

    def blocks(self, entries: int) -> Iterator[tuple[int, int]]:
        """Ranges (start, stop) of left features such that a block has about ``entries`` entries."""
        step = max(entries // max(self.shape[1], 1), 1)
        for start in range(0, self.shape[0] if self.shape[1] else 0, step):
            yield start, min(start + step, self.shape[0])

    def pairing(self, order: Int[np.ndarray, " n"]) -> Pairing:
        """Prepare correlations in which row p of the left is paired with row ``order[p]`` of the right."""
        times = np.bincount(order, minlength=len(order))
        if times.max() == 1:
            return Pairing(order, self._offsets[1], None)
        mean = times @ self._right / len(order)
        squares = times @ self._right**2
        spread = squares - len(order) * mean**2
        varies = spread > _ROUNDING * squares
        return Pairing(
            order, np.sqrt(len(order)) * mean, np.where(varies, 1 / np.sqrt(_positive(spread)), 0.0)
        )

    def block(self, start: int, stop: int, pairing: Pairing) -> Entries:
        """Correlations of the left features ``start`` to ``stop``, counted from ``start``, with all right ones."""
        left = self._left[start:stop]
        if sp.issparse(left):
            # Renaming its rows costs as much as it has entries; moving the right's would cost more.
            renamed = pairing.order[left.indices]
            product = sp.csr_array((left.data, renamed, left.indptr), shape=left.shape) @ self._right
        else:
            product = left @ self._right[pairing.order]
        if sp.issparse(product):
            fires = np.diff(product.indptr)
            rows, columns, values = np.repeat(np.arange(stop - start), fires), product.indices, product.data
        else:
            rows, columns = (axis.ravel() for axis in np.indices(product.shape))
            values = product.ravel()
        excess = self._offsets[0][start:stop][rows]
        excess *= pairing.offset[columns]
        values -= excess
        if pairing.scale is not None:
            values *= pairing.scale[columns]
        return Entries(rows, columns, values)

    def raise_best(
        self,
        start: int,
        stop: int,
        geometry: Float[np.ndarray, "b f"] | None,
        pairing: Pairing,
        best_left: Float[np.ndarray, " f1"],
        best_right: Float[np.ndarray, " f2"],
    ) -> None:
        """Raise the best bridges to those of the left features ``start`` to ``stop``: correlation times geometry."""
        if sp.issparse(self._left) and sp.issparse(self._right):
            left, right = ((side.indptr, side.indices, side.data) for side in (self._left, self._right))
            scale = np.empty(0) if pairing.scale is None else pairing.scale
            weights = np.empty((0, 0), dtype=np.float32) if geometry is None else geometry
            offsets = self._offsets[0], pairing.offset
            best_of_pairing(
                left, right, start, stop, pairing.order, offsets, scale, weights, best_left, best_right
            )
            return
        rows, columns, bridges = self.block(start, stop, pairing)
        if geometry is not None:
            bridges = bridges * geometry[rows, columns]
        np.maximum.at(best_left, start + rows, bridges)
        np.maximum.at(best_right, columns, bridges)


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1.0)
