"""The sums that the model-level gap is made of: one pass over paired blocks, mergeable over parts."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    device
        PyTorch's name of a device on which dense blocks are summed; compiled code by default.
    """

    def __init__(
        self,
        d: int,
        buckets: Buckets,
        modalities: tuple[str, str] = ("image", "text"),
        device: str | None = None,
    ) -> None:
        self.buckets, self.modalities, self._device = buckets, modalities, device
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
                image, text, cells, self.buckets.shift, self._image, self._text, self._pairs, self._device
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

    def conclude(self, draws: int = 0, seed: int = 0) -> "Gap":
        """What the sums over all pairs come to.

        Parameters
        ----------
        draws, seed
            Label swaps; with 0 there are neither swaps nor intervals.
        """
        vectors = _Vectors.of(self.buckets, self._image, self._text, self._pairs)
        whole = vectors.whole()
        measures = {name: float(value) for name, value in whole.measures().items()}
        if not draws:
            return Gap(measures, {}, {})
        swapped = self._swapped(whole, draws, seed)
        return Gap(measures, _intervals(whole, vectors.without_each()), swapped)

    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """95 % interval of each measure."""
        return self.conclude(1).intervals

    def _swapped(self, whole: "_Norms", draws: int, seed: int) -> dict[str, Float[np.ndarray, " r"]]:
        """The measures under label swaps; what concerns pairs alone does not change."""
        middle = (self._image.sum(axis=0) + self._text.sum(axis=0))[:, None] / 2
        turned = self.buckets.tilts(self._image - self._text).T @ self.buckets.signs(draws, seed) / 2
        blocks = list(feature_blocks(len(turned), draws))
        plus, minus, difference = (
            sum_blocks(of(middle[here], turned[here]) ** 2 for here in blocks)
            for of in (np.add, np.subtract, lambda _, turn: 2 * turn)
        )
        whole = whole._replace(sides=plus + minus, difference=difference)
        return {name: np.broadcast_to(values, draws) for name, values in whole.measures().items()}


class Gap(NamedTuple):
    """The model-level gap as sums give it, by measure: L2M unbiased and as published, L2I and RMG.

    Attributes
    ----------
    measures
        The values.
    intervals
        95 % interval of each, by the jackknife over buckets. That of L2M is the square root of one of its unbiased
        square, which is smooth where there is no gap and which noise does not move; it belongs to both forms, since
        what they estimate is one number.
    swapped
        The values under label swaps.
    """

    measures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    swapped: Mapping[str, Float[np.ndarray, " r"]]


def _intervals(whole: "_Norms", without_each: "_Norms") -> dict[str, tuple[float, float]]:
    own, left_out = whole.measures(), without_each.measures()
    square = jackknife_interval(float(whole.squared_l2m()), without_each.squared_l2m())
    found = {
        "l2m": (float(np.sqrt(max(square[0], 0.0))), float(np.sqrt(max(square[1], 0.0)))),
        "l2i": jackknife_interval(float(own["l2i"]), left_out["l2i"]),
        "rmg": jackknife_interval(float(own["rmg"]), left_out["rmg"]),
    }
    found["l2m_unbiased"] = found["l2m"]
    return {name: _clipped(found[name], most) for name, most in _MOST.items()}


@dataclass(frozen=True, eq=False)
class _Vectors:
    """Squared norms of the vectors that buckets sum, and their products with the sum over all.

    Attributes
    ----------
    total
        Squared norm of the sum over all pairs: of images, of texts, of differences.
    with_total, own
        For each bucket that holds pairs, product of its sum with the one over all, and squared norm of its sum, (3, b).
    pairs
        Number of pairs, the sum of their distances and of the squares of these, (b, 3).
    single
        Whether every pair is a group of its own and groups share buckets.
    """

    total: Float[np.ndarray, " 3"]
    with_total: Float[np.ndarray, "3 b"]
    own: Float[np.ndarray, "3 b"]
    pairs: Float[np.ndarray, "b 3"]
    single: bool

    @classmethod
    def of(cls, buckets: Buckets, image: np.ndarray, text: np.ndarray, of_pairs: np.ndarray) -> "_Vectors":
        """From the sums by cell."""
        pairs = buckets.totals(of_pairs)
        filled = pairs[:, 0] > 0
        image, text = (buckets.totals(side)[filled] for side in (image, text))
        total, with_total, own = [], [], []
        for vectors in (image, text, image - text):
            whole = vectors.sum(axis=0)
            total.append(whole @ whole)
            with_total.append(np.einsum("ij,j->i", vectors, whole))
            own.append(np.einsum("ij,ij->i", vectors, vectors))
        single = buckets.hashed and buckets.effective == buckets.n_groups == pairs[:, 0].sum()
        return cls(np.array(total), np.array(with_total), np.array(own), pairs[filled], bool(single))

    def whole(self) -> "_Norms":
        """Over all pairs."""
        image, text, difference = self.total.tolist()
        return _Norms(image + text, difference, *self.pairs.sum(axis=0), *self._of_groups().sum(axis=1))

    def without_each(self) -> "_Norms":
        """The same with one bucket left out, for each."""
        image, text, difference = self.total[:, None] - 2 * self.with_total + self.own
        rest, groups = self.pairs.sum(axis=0) - self.pairs, self._of_groups()
        return _Norms(image + text, difference, *rest.T, *(groups.sum(axis=1, keepdims=True) - groups))

    def _of_groups(self) -> Float[np.ndarray, "3 b"]:
        """What each bucket adds by pairs of one group: their number, and the products of both sides and of differences.

        Exact where each group has a bucket or each pair is a group; else pairs of one bucket count as of one group.
        """
        n, _, squares = self.pairs.T
        if self.single:
            return np.stack([n, 2 * n, squares])
        return np.stack([n**2, self.own[0] + self.own[1], self.own[2]])


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
