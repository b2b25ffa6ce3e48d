"""The sums that dominance scores are made of: one pass over paired blocks, mergeable over shards."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Int

from modalens.arrays import Block, normalize_rows, widened
from modalens.dominance.draw_kernels import (
    FeatureMoments,
    deviations,
    feature_moments,
    resampled_ratios,
    swapped_ratios,
    tilts,
)
from modalens.dominance.estimators import ESTIMATORS, check_estimator
from modalens.dominance.kernels import suits
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets, add_by_cell, feature_blocks

# Estimators that square values do so on a scale of 2**(256 j) per feature: squares and their sums then stay far from
# overflow and underflow, and since the scale is a power of two no bit is lost. Ordinary values have j = 0.
_STEP = 256
_UNSEEN = -5 * _STEP

# Where nothing is resampled, blocks of so many rows go to so many cells in turn, so that cores can share a pass.
_LANE_ROWS, _LANES = 1024, 8

# So many groups of all features stand beside a feature's own when its spread is told.
_POOLED_GROUPS = 6
# A prior of no weight would leave a resample that misses a feature without a score.
_LEAST_PHI = 1e-4
# Counts that differ by less than this part of all are equal but for rounding.
_ROUNDING = 1e-9
_ALL = slice(None)


class DominanceSums:
    """Per-feature sums over pairs from which scores, bootstrap scores and label-swap scores follow.

    Every estimator is R = sum u / sum c over pairs: u is the image side's share of a pair and c what the pair
    counts for. The sums are kept by bucket, see :class:`modalens.statistics.buckets.Buckets`, and so memory and the
    cost of a pass do not depend on the number of resamples.

    Parameters
    ----------
    n_features
        Number of features d.
    estimator, normalize
        As for :func:`modalens.dominance.modality_dominance`.
    buckets
        Buckets of the groups that pairs are in; None where nothing is resampled.
    modalities
        Names of the two sides, for error messages.
    device
        PyTorch's name of a device on which dense blocks are summed; compiled code by default.
    """

    def __init__(
        self,
        n_features: int,
        estimator: str,
        *,
        normalize: bool = False,
        buckets: Buckets | None = None,
        modalities: tuple[str, str] = ("image", "text"),
        device: str | None = None,
    ) -> None:
        self.settings = (n_features, check_estimator(estimator), normalize, buckets, modalities)
        self.n_features, self.estimator, self.normalize = n_features, estimator, normalize
        self.buckets, self.modalities, self._device = buckets, modalities, device
        self._estimator = ESTIMATORS[estimator]
        self.n_pairs = 0
        self.pairs: Int[np.ndarray, " d"] = np.zeros(n_features, dtype=np.int64)
        self._exponent = np.full(n_features, _UNSEEN)
        cells = _LANES if buckets is None else buckets.n_cells
        self._share = np.zeros((cells, n_features))
        # Of c, beside the pairs that count in full for every feature: mostly all of a dense matrix's.
        self._count = np.zeros((cells, n_features), dtype=np.int32 if self._estimator.counts_pairs else float)
        self._full: Int[np.ndarray, " c"] = np.zeros(cells, dtype=np.int64)
        self._uneven = False

    def update(
        self, start: int, image: Block, text: Block, keys: Int[np.ndarray, " n"] | None = None
    ) -> None:
        """Add a block of pairs.

        Parameters
        ----------
        start
            Row of the first pair, counted over all shards.
        image, text
            Blocks (n, d), dense or CSR in canonical form, in float64 or as they are stored; what is not finite leaves
            sums that are not :meth:`finite`.
        keys
            Group of each pair; by default the number of its row.

        Raises
        ------
        ModalensError
            If the estimator is for non-negative features and a value is negative.
        """
        if (
            why := why_undefined(self.estimator, start, zip(self.modalities, (image, text), strict=True))
        ) is not None:
            raise ModalensError(why)
        rows = np.arange(start, start + image.shape[0])
        if self.normalize:
            image, text = (normalize_rows(widened(side))[0] for side in (image, text))
        self.n_pairs += len(rows)
        if self.buckets is None:
            cells, shift = rows // _LANE_ROWS % _LANES, 0
        else:
            cells, shift = self.buckets.cells(rows if keys is None else keys), self.buckets.shift
        # Blocks that suit need no other scale than 2**0.
        plain_scale = np.isin(self._exponent, (_UNSEEN, 0)).all()
        if self._estimator.compiled is None or not plain_scale or not suits(image, text):
            self._add_plainly(widened(image), widened(text), cells)
            return
        pairs = self._estimator.compiled(image, text, cells, shift, self._share, self._count, self._device)
        if self._estimator.degree:
            self._exponent[pairs > 0] = 0
        self.pairs += pairs
        if self._estimator.counts_pairs and not sp.issparse(image):
            self._full += np.bincount(cells, minlength=len(self._full))
            self._uneven |= bool((pairs != len(rows)).any())
        else:
            self._uneven = True

    def _add_plainly(self, image: Block, text: Block, cells: Int[np.ndarray, " n"]) -> None:
        """Add a block of any numbers, by the estimator's own terms."""
        a, b, columns, wrap = _aligned(image, text)
        counted = (a > 0) | (b > 0)
        if self._estimator.degree:
            self._rescale(_exponents(np.maximum(a, b), columns, self.n_features))
            shift = np.where(self._exponent == _UNSEEN, 0, -self._exponent)
            if shift.any():
                a, b = (np.ldexp(side, shift[columns]) for side in (a, b))
        share, count = self._estimator.parts(a, b)
        self.pairs += wrap(counted.astype(np.int64)).sum(axis=0)
        add_by_cell(self._share, cells, wrap(share))
        add_by_cell(self._count, cells, wrap(count))
        self._uneven = True

    def merge(self, other: Self) -> None:
        """Add the sums of another part of the pairs, made with the same settings."""
        if self.settings != other.settings:
            raise ModalensError(f"Sums made with {self.settings} and with {other.settings} cannot be merged.")
        self._rescale(other._exponent)
        gap = np.where(
            other._exponent == _UNSEEN, 0, self._estimator.degree * (other._exponent - self._exponent)
        )
        self._share += np.ldexp(other._share, gap) if gap.any() else other._share
        if other._uneven:
            self._count += np.ldexp(other._count, gap) if gap.any() else other._count
            self._uneven = True
        self._full += other._full
        self.pairs += other.pairs
        self.n_pairs += other.n_pairs

    def finite(self) -> bool:
        """Whether all values so far were finite."""
        return bool(np.isfinite(self._share.sum()))

    def scores(self) -> Float[np.ndarray, " d"]:
        """R in [0, 1]; 1 where the first modality drives the feature, NaN where no pair counted."""
        return _ratio(self._share.sum(axis=0), self._counted())

    def _counted(self) -> Float[np.ndarray, " d"]:
        """Sum of c over all pairs."""
        counted: np.ndarray = self._full.sum() + self._count.sum(axis=0, dtype=np.float64)
        return counted

    def resampled_scores(self, resamples: int, seed: int) -> Float32[np.ndarray, "d r"]:
        """R in each bootstrap resample, in single precision; NaN where no pair counted.

        A resample of few groups repeats what these happen to show, so that a feature of one group would have an
        interval of no width. Each resample therefore holds, beside the groups it takes, a random group of the prior:
        R* = (share* + s a1) / (count* + s (a1 + a0)) with a1, a0 ~ Gamma(1/2), which is the Bayesian bootstrap under
        Jeffreys' prior. Its weight s vanishes where every group counts alike; see :func:`prior_weight`.
        """
        buckets = self._drawn_over()
        weights, moments = buckets.weights(resamples, seed), self._moments(buckets)
        with np.errstate(invalid="ignore", divide="ignore"):
            score, prior = (
                moments.share / moments.total,
                prior_weight([moments], buckets.n_groups) / moments.total,
            )
        scores = np.empty((self.n_features, resamples), dtype=np.float32)
        for number, here in enumerate(feature_blocks(self.n_features, resamples)):
            own = FeatureMoments(*(each[here] for each in moments))
            apart, counted = deviations(*self._sums(buckets, here), own)
            np.matmul(apart.T, weights, out=scores[here])
            # One feature's counts stand for all where every pair counts for each.
            drawn = counted[:, : None if self._uneven else 1].T @ weights
            generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, number)))
            size = (len(own.total) if (prior[here] > 0).any() else 0, resamples)
            first, second = (generator.standard_normal(size, dtype=np.float32) for _ in range(2))
            resampled_ratios(scores[here], drawn, score[here], prior[here], (first, second))
        return scores

    def swapped_scores(self, draws: int, seed: int) -> Float32[np.ndarray, "d r"]:
        """R in each draw of random label swaps within pairs, in single precision; NaN where no pair counted.

        Swapping the labels of a pair turns u into c - u, so R = 1/2 + sum s (u - c/2) / sum c with signs s.
        """
        buckets, total = self._drawn_over(), self._counted()
        signs = buckets.signs(draws, seed)
        scores = np.empty((self.n_features, draws), dtype=np.float32)
        for here in feature_blocks(self.n_features, draws):
            np.matmul(tilts(*self._sums(buckets, here), total[here]).T, signs, out=scores[here])
        swapped_ratios(scores, total)
        return scores

    def _sums(
        self, buckets: Buckets, here: slice = _ALL
    ) -> tuple[Float[np.ndarray, "c d"], np.ndarray, Int[np.ndarray, " c"], int]:
        """What draws are made of, of some features."""
        return self._share[:, here], self._count[:, here], self._full, 1 + buckets.shift

    def _moments(self, buckets: Buckets) -> FeatureMoments:
        """Moments over buckets of all features."""
        parts = buckets.sizes() / buckets.n_groups
        over = buckets.totals(self._full) - parts * self._full.sum()
        if self._uneven or (over**2).sum() > (_ROUNDING * self._full.sum()) ** 2:
            return feature_moments(*self._sums(buckets), parts)
        # Every group counts alike for each feature: nothing but the sums is needed.
        none = np.zeros(self.n_features)
        return FeatureMoments(self._counted(), self._share.sum(axis=0), none, none, none)

    def _drawn_over(self) -> Buckets:
        if self.buckets is None:
            raise ModalensError("These sums were not kept by bucket, and there is nothing to resample.")
        return self.buckets

    def _rescale(self, exponent: Int[np.ndarray, " d"]) -> None:
        """Bring the sums to a larger scale where the values ask for one."""
        grown = np.flatnonzero((exponent > self._exponent) & (self._exponent != _UNSEEN))
        if grown.size:
            shift = self._estimator.degree * (self._exponent[grown] - exponent[grown])
            for sums in (self._share, self._count):  # what counts in full has degree 0
                sums[:, grown] = np.ldexp(sums[:, grown], shift)
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


def prior_weight(several: Sequence[FeatureMoments], n_groups: int) -> Float[np.ndarray, " d"]:
    """Weight s of the prior's group in a resample, in the units of c, (d,).

    ``several`` are the moments of each modality, whose c is one; of two modalities one says it all.

    v / C x sqrt(phi): v is the variance of the resampled count C*, so that s is what one group counts for where a
    feature is rare, and 0 where every group counts alike. phi in [0, 1] is the variance of the groups' shares as a
    part of that of zeros and ones, R (1 - R), shrunk to that of all features where groups are few. Jeffreys' prior is
    for zeros and ones: with phi = 1 shares that vary less are given too wide intervals and too little certainty, with
    s proportional to phi too narrow ones; the square root covered .92 to .99 in simulation, with certainty
    within .03 (``make calibrate``).
    """
    total, _, variance, _, filled = several[0]
    live = total > 0
    safe = np.where(live, total, 1.0)
    squares = np.where(live, variance + total**2 / n_groups, 1.0)
    scores = [each.share / safe for each in several]
    others = np.maximum(filled - 1, 0)
    spread = np.sum([each.spread for each in several], axis=0) * (1 + 1 / np.maximum(others, 1))
    of_zeros_and_ones = np.sum([score * (1 - score) for score in scores], axis=0) + spread / safe**2
    spread /= squares
    pooled_of_zeros_and_ones = others @ of_zeros_and_ones
    pooled = others @ spread / pooled_of_zeros_and_ones if pooled_of_zeros_and_ones > 0 else 1.0
    phi = np.full(len(total), pooled)
    np.divide(
        _POOLED_GROUPS * pooled * of_zeros_and_ones + others * spread,
        (_POOLED_GROUPS + others) * of_zeros_and_ones,
        out=phi,
        where=of_zeros_and_ones > 0,
    )
    weight: np.ndarray = np.where(live, variance / safe * np.sqrt(np.clip(phi, _LEAST_PHI, 1.0)), 0.0)
    return weight


def why_undefined(estimator: str, start: int, sides: Iterable[tuple[str, Block]]) -> str | None:
    """Why an estimator is not defined on blocks of the sides, by name, whose first row has the number ``start``."""
    if not ESTIMATORS[estimator].non_negative:
        return None
    for modality, block in sides:
        if not ((block.data if sp.issparse(block) else block) < 0).any():
            continue
        rows, columns = (block < 0).nonzero()
        first = np.lexsort((columns, rows))[0]
        others = " or ".join(name for name, each in ESTIMATORS.items() if not each.non_negative)
        return (
            f"{estimator} needs features that are never negative, but feature {columns[first]} of the {modality} "
            f"matrix is negative in row {start + rows[first]}; use {others}."
        )
    return None
