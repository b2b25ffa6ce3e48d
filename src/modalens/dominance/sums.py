"""The sums that dominance scores are made of: one pass over paired blocks, mergeable over shards."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block, normalize_rows
from modalens.dominance.estimators import ESTIMATORS, check_estimator
from modalens.errors import ModalensError
from modalens.statistics.bootstrap import draw

# Estimators that square values do so on a scale of 2**(256 j) per feature: squares and their sums then stay far from
# overflow and underflow, and since the scale is a power of two no bit is lost. Ordinary values have j = 0.
_STEP = 256
_UNSEEN = -5 * _STEP


class DominanceSums:
    """Per-feature sums over pairs from which scores, bootstrap scores and label-swap scores follow.

    Every estimator is R = sum u / sum c over pairs: u is the image side's share of a pair and c what the pair
    counts for. A resample weights the pairs, R = sum w u / sum w c. Swapping the labels of a pair turns u into
    c - u, so with signs s a swap draw has R = 1/2 + sum s (u - c/2) / sum c.

    Parameters
    ----------
    n_features
        Number of features d.
    estimator, normalize, resamples, seed
        As for :func:`modalens.dominance.modality_dominance`.
    modalities
        Names of the two sides, for error messages.
    """

    def __init__(
        self,
        n_features: int,
        estimator: str,
        *,
        normalize: bool = False,
        resamples: int = 200,
        seed: int = 0,
        modalities: tuple[str, str] = ("image", "text"),
    ) -> None:
        self.settings = (n_features, check_estimator(estimator), normalize, resamples, seed, modalities)
        self.n_features, self.estimator, self.normalize = n_features, estimator, normalize
        self.resamples, self.seed, self.modalities = resamples, seed, modalities
        self._estimator = ESTIMATORS[estimator]
        self.n_pairs = 0
        self.pairs: Int[np.ndarray, " d"] = np.zeros(n_features, dtype=np.int64)
        self._exponent = np.full(n_features, _UNSEEN)
        self._share = np.zeros(n_features)
        self._count = np.zeros(n_features)
        self._share_resampled = np.zeros((n_features, resamples))
        self._count_resampled = np.zeros((n_features, resamples))
        self._tilt_swapped = np.zeros((n_features, resamples))

    def update(
        self, start: int, image: Block, text: Block, draws: tuple[np.ndarray, np.ndarray] | None = None
    ) -> None:
        """Add a block of pairs.

        Parameters
        ----------
        start
            Row of the first pair, counted over all shards.
        image, text
            Float64 blocks (n, d), dense or CSR in canonical form.
        draws
            Weights and signs (n, r) of the pairs, see :func:`modalens.statistics.bootstrap.draw`; by default
            those of their rows.

        Raises
        ------
        ModalensError
            If the estimator is for non-negative features and a value is negative.
        """
        rows = image.shape[0]
        if self.normalize:
            image, text = normalize_rows(image)[0], normalize_rows(text)[0]
        if self._estimator.non_negative:
            for block, modality in ((image, self.modalities[0]), (text, self.modalities[1])):
                _refuse_negative(block, start, modality, self.estimator)
        a, b, columns, wrap = _aligned(image, text)
        counted = (a > 0) | (b > 0)
        if self._estimator.degree:
            self._rescale(_exponents(np.maximum(a, b), columns, self.n_features))
            shift = np.where(self._exponent == _UNSEEN, 0, -self._exponent)
            if shift.any():
                a, b = (np.ldexp(side, shift[columns]) for side in (a, b))
        share, count = self._estimator.parts(a, b)
        self.n_pairs += rows
        self.pairs += wrap(counted.astype(np.int64)).sum(axis=0)
        self._share += wrap(share).sum(axis=0)
        self._count += wrap(count).sum(axis=0)
        if self.resamples == 0:
            return
        weights, signs = draws or draw(np.arange(start, start + rows), self.resamples, self.seed)
        self._share_resampled += wrap(share).T @ weights
        if count.size == rows * self.n_features and (count == 1).all():
            self._count_resampled += weights.sum(axis=0)
        else:
            self._count_resampled += wrap(count).T @ weights
        self._tilt_swapped += wrap(share - count / 2).T @ signs

    def merge(self, other: Self) -> None:
        """Add the sums of another part of the pairs, made with the same settings."""
        if self.settings != other.settings:
            raise ModalensError(f"Sums made with {self.settings} and with {other.settings} cannot be merged.")
        self._rescale(other._exponent)
        gap = np.where(
            other._exponent == _UNSEEN, 0, self._estimator.degree * (other._exponent - self._exponent)
        )
        for mine, theirs in zip(self._scaled(), other._scaled(), strict=True):
            mine += np.ldexp(theirs, gap if theirs.ndim == 1 else gap[:, None])
        self.pairs += other.pairs
        self.n_pairs += other.n_pairs

    def scores(self) -> Float[np.ndarray, " d"]:
        """R in [0, 1]; 1 where the first modality drives the feature, NaN where no pair counted."""
        return _ratio(self._share, self._count)

    def resampled_scores(self) -> Float[np.ndarray, "d r"]:
        """R in each bootstrap resample; NaN where no pair of the resample counted."""
        return _ratio(self._share_resampled, self._count_resampled)

    def swapped_scores(self) -> Float[np.ndarray, "d r"]:
        """R in each draw of random label swaps within pairs; NaN where no pair counted."""
        return _ratio(self._count[:, None] / 2 + self._tilt_swapped, self._count[:, None])

    def _scaled(self) -> tuple[np.ndarray, ...]:
        return (self._share, self._count, self._share_resampled, self._count_resampled, self._tilt_swapped)

    def _rescale(self, exponent: Int[np.ndarray, " d"]) -> None:
        """Bring the sums to a larger scale where the values ask for one."""
        grown = np.flatnonzero((exponent > self._exponent) & (self._exponent != _UNSEEN))
        if grown.size:
            shift = self._estimator.degree * (self._exponent[grown] - exponent[grown])
            for sums in self._scaled():
                sums[grown] = np.ldexp(sums[grown], shift if sums.ndim == 1 else shift[:, None])
        np.maximum(self._exponent, exponent, out=self._exponent)


def _aligned(image: Block, text: Block) -> tuple[np.ndarray, np.ndarray, Any, Callable[[np.ndarray], Any]]:
    """Magnitudes of both sides entry by entry, their column index, and how to make a matrix of such entries.

    Sparse blocks give the entries where either side is not 0, and are never made dense.
    """
    if not (sp.issparse(image) or sp.issparse(text)):
        return np.abs(image), np.abs(text), np.arange(image.shape[1]), lambda values: values
    # A complex sum keeps both values of an entry, exactly, over the union of the two patterns.
    both = sp.csr_array(image) + 1j * sp.csr_array(text)

    def wrap(values: np.ndarray) -> Any:
        return sp.csr_array((values, both.indices, both.indptr), shape=both.shape)

    return np.abs(both.data.real), np.abs(both.data.imag), both.indices, wrap


def _exponents(values: np.ndarray, columns: np.ndarray, n_features: int) -> Int[np.ndarray, " d"]:
    """Scale of each feature's largest value, as a multiple of the step."""
    exponents = np.frexp(values)[1]
    scale = np.where(values > 0, _STEP * np.rint(exponents / _STEP).astype(np.int64), _UNSEEN)
    if scale.ndim == 2:
        largest: np.ndarray = scale.max(axis=0)
        return largest
    largest = np.full(n_features, _UNSEEN)
    np.maximum.at(largest, columns, scale)
    return largest


def _ratio(share: np.ndarray, count: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(count > 0, share / count, np.nan)
    return np.clip(ratio, 0.0, 1.0)  # only rounding lies outside


def _refuse_negative(block: Block, start: int, modality: str, estimator: str) -> None:
    values = block.data if sp.issparse(block) else block
    if not (values < 0).any():
        return
    rows, columns = (block < 0).nonzero()
    first = np.lexsort((columns, rows))[0]
    others = " or ".join(name for name, each in ESTIMATORS.items() if not each.non_negative)
    raise ModalensError(
        f"{estimator} needs features that are never negative, but feature {columns[first]} of the {modality} "
        f"matrix is negative in row {start + rows[first]}; use {others}."
    )
