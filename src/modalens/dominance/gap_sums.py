"""The sums that the model-level gap is made of: one pass over paired blocks, mergeable over parts."""

from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block, normalize_rows, widened
from modalens.dominance.kernels import add_directions, suits
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets, add_by_cell, feature_blocks, sum_blocks
from modalens.statistics.intervals import jackknife_interval

Numbers = Any  # a number, or one for each draw

# Largest value of each measure.
_MOST = {"l2m_unbiased": 2.0, "l2m": 2.0, "l2i": 2.0, "rmg": 1.0}
# Distances between unit vectors below this are what rounding leaves of 0.
_ROUNDING = 1e-12


class GapSums:
    """Sums over unit pairs from which the distances follow, by bucket of groups.

    Parameters
    ----------
    d
        Width of the embeddings.
    buckets
        Buckets of the groups that pairs are in, see :class:`modalens.statistics.buckets.Buckets`.
    modalities
        Names of the two sides, for error messages.
    """

    def __init__(self, d: int, buckets: Buckets, modalities: tuple[str, str] = ("image", "text")) -> None:
        self.buckets, self.modalities = buckets, modalities
        self._image, self._text = np.zeros((2, buckets.n_cells, d))
        # Of each cell: number of pairs, sum of their distances, and of the squares of these.
        self._pairs = np.zeros((buckets.n_cells, 3))

    def update(
        self, start: int, image: Block, text: Block, keys: Int[np.ndarray, " n"] | None = None
    ) -> None:
        """Add a block of pairs.

        Parameters
        ----------
        start
            Row of the first pair, counted over all blocks.
        image, text
            Blocks (n, d), dense or CSR in canonical form, in float64 or as they are stored; what is not finite leaves
            sums that are not :meth:`finite`.
        keys
            Group of each pair; by default the number of its row.

        Raises
        ------
        ModalensError
            If a row is all zeros.
        """
        cells = self.buckets.cells(np.arange(start, start + image.shape[0]) if keys is None else keys)
        if suits(image, text):
            without = add_directions(
                image, text, cells, self.buckets.shift, self._image, self._text, self._pairs
            )
            if without is not None:
                raise _no_direction(start + without // 2, self.modalities[without % 2])
            return
        image, text = directions(start, image, text, self.modalities)
        difference = image - text
        squares = (difference.multiply(difference) if sp.issparse(difference) else difference**2).sum(axis=1)
        add_by_cell(self._image, cells, image)
        add_by_cell(self._text, cells, text)
        add_by_cell(self._pairs, cells, np.stack([np.ones(len(squares)), np.sqrt(squares), squares], axis=1))

    def finite(self) -> bool:
        """Whether all values so far were finite."""
        return bool(np.isfinite(self._image.sum() + self._text.sum()))

    def merge(self, other: Self) -> None:
        """Add the sums of another part of the pairs."""
        self._image += other._image
        self._text += other._text
        self._pairs += other._pairs

    def measures(self) -> dict[str, float]:
        """L2M unbiased and as published, L2I and RMG."""
        return {name: float(value) for name, value in self._whole().measures().items()}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % interval of each measure, by the jackknife over buckets.

        That of L2M is the square root of one of its unbiased square, which is smooth where there is no gap and which
        noise does not move. It belongs to both forms: what they estimate is one number.
        """
        own, left_out = self._whole().measures(), self._without_each().measures()
        square = jackknife_interval(float(self._whole().squared_l2m()), self._without_each().squared_l2m())
        found = {
            "l2m": (float(np.sqrt(max(square[0], 0.0))), float(np.sqrt(max(square[1], 0.0)))),
            "l2i": jackknife_interval(float(own["l2i"]), left_out["l2i"]),
            "rmg": jackknife_interval(float(own["rmg"]), left_out["rmg"]),
        }
        found["l2m_unbiased"] = found["l2m"]
        return {name: _clipped(found[name], most) for name, most in _MOST.items()}

    def swapped(self, draws: int, seed: int) -> dict[str, Float[np.ndarray, " r"]]:
        """The measures under label swaps; what concerns pairs alone does not change."""
        middle = (self._image.sum(axis=0) + self._text.sum(axis=0))[:, None] / 2
        turned = self.buckets.tilts(self._image - self._text).T @ self.buckets.signs(draws, seed) / 2
        blocks = list(feature_blocks(len(turned), draws))
        plus, minus, difference = (
            sum_blocks(of(middle[here], turned[here]) ** 2 for here in blocks)
            for of in (np.add, np.subtract, lambda _, turn: 2 * turn)
        )
        whole = self._whole()._replace(sides=plus + minus, difference=difference)
        return {name: np.broadcast_to(values, draws) for name, values in whole.measures().items()}

    def _whole(self) -> "_Norms":
        image, text, pairs = self._image.sum(axis=0), self._text.sum(axis=0), self._pairs.sum(axis=0)
        own = self._own().sum(axis=1)
        return _Norms(float(image @ image + text @ text), _norms(image - text), *pairs, *own)

    def _without_each(self) -> "_Norms":
        """The same with one bucket left out, for each that holds pairs."""
        image, text, pairs = (self.buckets.totals(sums) for sums in (self._image, self._text, self._pairs))
        filled = pairs[:, 0] > 0
        image, text, pairs, own = image[filled], text[filled], pairs[filled], self._own()[:, filled]

        def without(side: np.ndarray) -> Numbers:
            left: np.ndarray = side.sum(axis=0) - side
            squares: np.ndarray = _norms(left.T)
            return squares

        rest = pairs.sum(axis=0) - pairs
        own = own.sum(axis=1, keepdims=True) - own
        return _Norms(without(image) + without(text), without(image - text), *rest.T, *own)

    def _own(self) -> Float[np.ndarray, "3 b"]:
        """What each bucket adds by pairs of one group: their number, and the products of both sides and of differences.

        Exact where each group has a bucket or each pair is a group; else pairs of one bucket count as of one group.
        """
        pairs = self.buckets.totals(self._pairs)
        if self.buckets.hashed and self.buckets.effective == self.buckets.n_groups == self._pairs[:, 0].sum():
            return np.stack([pairs[:, 0], 2 * pairs[:, 0], pairs[:, 2]])
        image, text = self.buckets.totals(self._image), self.buckets.totals(self._text)
        return np.stack([pairs[:, 0] ** 2, _norms(image.T) + _norms(text.T), _norms((image - text).T)])


class _Norms(NamedTuple):
    """Squared norms of sums over unit pairs, from which every distance follows; numbers or one for each draw.

    Attributes
    ----------
    sides, difference
        Of the sums of both sides, added; of the sum of differences.
    n, distance, squares
        Number of pairs, the sum of their distances and of the squares of these.
    own_pairs, own_sides, own_difference
        What products of samples of one group add to n squared, ``sides`` and ``difference``.
    """

    sides: Numbers
    difference: Numbers
    n: Numbers
    distance: Numbers
    squares: Numbers
    own_pairs: Numbers
    own_sides: Numbers
    own_difference: Numbers

    def squared_l2m(self) -> Numbers:
        """U-statistic of the squared L2M over groups: mean product of the differences of two groups."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.difference - self.own_difference) / (self.n**2 - self.own_pairs)

    def measures(self) -> dict[str, np.ndarray]:
        """L2M unbiased and as published, L2I and RMG."""
        with np.errstate(invalid="ignore", divide="ignore"):
            cosines = (self.sides - self.own_sides) / (self.n**2 - self.own_pairs)
            within = np.maximum(2 - cosines, 0.0) / 4
            paired = self.squares / self.n / 4  # (1 - cos) / 2 of unit vectors |a - b| apart
            return {
                "l2m_unbiased": np.sqrt(np.maximum(self.squared_l2m(), 0.0)),
                "l2m": np.sqrt(self.difference) / self.n,
                "l2i": np.asarray(self.distance / self.n),
                "rmg": np.where(paired + within > _ROUNDING, paired / (paired + within), np.nan),
            }


def _norms(vectors: Float[np.ndarray, "d ..."]) -> Numbers:
    return (vectors**2).sum(axis=0)


def _clipped(interval: tuple[float, float], most: float) -> tuple[float, float]:
    low, high = np.clip(interval, 0.0, most).tolist()
    return low, high


def directions(
    start: int, image: Block, text: Block, modalities: tuple[str, str] = ("image", "text")
) -> tuple[Block, Block]:
    """Pairs of unit length in float64, both dense or both CSR.

    Raises
    ------
    ModalensError
        If a row is all zeros; ``start`` is the number of the first one.
    """
    sides = []
    for block, modality in zip((image, text), modalities, strict=True):
        unit, peaks = normalize_rows(widened(block))
        if not peaks.all():
            raise _no_direction(start + int(np.argmin(peaks)), modality)
        sides.append(unit)
    if sp.issparse(sides[0]) != sp.issparse(sides[1]):
        sides = [sp.csr_array(side) for side in sides]
    return sides[0], sides[1]


def _no_direction(row: int, modality: str) -> ModalensError:
    return ModalensError(
        f"Row {row} of the {modality} matrix is all zeros and has no direction; remove that pair."
    )
