"""The sums that shares of several modalities are made of, by bucket of groups, and what follows from them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from modalens.arrays import Matrix, default_block_rows, normalize_rows, read_rows, sliceable
from modalens.dominance.draw_kernels import feature_moments
from modalens.dominance.estimators import ESTIMATORS
from modalens.dominance.sums import prior_weight, why_undefined
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets, add_by_cell, feature_blocks


class ShareSums:
    """Per-feature sums over aligned samples of several modalities.

    Every estimator is share_m = sum u_m / sum c over samples, see :class:`modalens.dominance.estimators.Estimator`.

    Parameters
    ----------
    modalities
        Names of the m modalities.
    n_features
        Number of features d.
    estimator
        One of :data:`modalens.dominance.estimators.ESTIMATORS`.
    buckets
        Buckets of the groups that samples are in.
    """

    def __init__(self, modalities: Sequence[str], n_features: int, estimator: str, buckets: Buckets) -> None:
        self.modalities, self.estimator, self.buckets = tuple(modalities), estimator, buckets
        self.samples: Int[np.ndarray, " d"] = np.zeros(n_features, dtype=np.int64)
        self._count = np.zeros((buckets.n, n_features))
        self._share = np.zeros((buckets.n, len(self.modalities), n_features))
        # The same with the labels of every group turned by a fixed number, for draws that turn whole buckets.
        self._turned = np.zeros_like(self._share) if buckets.hashed else self._share

    def add_all(
        self, sides: Sequence[Matrix], keys: Int[np.ndarray, " n"] | None, *, normalize: bool
    ) -> None:
        """Add all samples of aligned matrices (n, d), in blocks that depend on the width alone."""
        n, d = sides[0].shape
        sides = [sliceable(side) for side in sides]
        step = default_block_rows(np.empty((0, d)))
        for start in range(0, n, step):
            stop = min(start + step, n)
            blocks = [
                self._block(side, start, stop, name)
                for side, name in zip(sides, self.modalities, strict=True)
            ]
            if normalize:
                blocks = [normalize_rows(block)[0] for block in blocks]
            self._add(np.abs(np.stack(blocks)), np.arange(start, stop) if keys is None else keys[start:stop])
        if not np.isfinite(self._share).all():
            raise ModalensError(
                f"{self.estimator} squares values that are too large; scale the matrices down."
            )

    def shares(self) -> Float[np.ndarray, "m d"]:
        """Share of each modality, in [0, 1]; NaN where no sample counted."""
        return _ratios(self._share.sum(axis=0), self._count.sum(axis=0))

    def resampled(self, resamples: int, seed: int) -> Float[np.ndarray, "m d r"]:
        """Shares in each bootstrap resample; NaN where no sample counted.

        Each resample holds a random group of the prior, as :meth:`DominanceSums.resampled_scores` does for two:
        share_m* = (u_m* + s a_m) / (c* + s sum a) with a_m ~ Gamma(1/2), Jeffreys' prior for m categories.
        """
        m, d = len(self.modalities), len(self.samples)
        by_modality = [np.ascontiguousarray(self._share[:, each]) for each in range(m)]
        none, parts = np.zeros(self.buckets.n, dtype=np.int64), self.buckets.sizes() / self.buckets.n_groups
        moments = [feature_moments(share, self._count, none, 1, parts) for share in by_modality]
        prior = prior_weight(moments, self.buckets.n_groups)
        weights = self.buckets.weights(resamples, seed)
        found = np.empty((m, d, resamples))
        for number, here in enumerate(feature_blocks(d, m * resamples)):
            generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, number)))
            added = generator.standard_normal((m, here.stop - here.start, resamples)) ** 2 / 2
            added *= prior[here][:, None]
            count = self._count[:, here].T @ weights + added.sum(axis=0)
            for each, share in enumerate(by_modality):
                found[each, here] = _ratios(share[:, here].T @ weights + added[each], count)
        found[:, self.samples == 0] = np.nan
        return found

    def turned(self, draws: int, seed: int) -> Float[np.ndarray, "m d r"]:
        """Shares in each draw in which the labels of every group are turned by a random number of modalities.

        A turn gives each sample's values to the modalities that follow, the last one's to the first: every modality is
        equally likely to have each. With two modalities it is a swap.
        """
        m = len(self.modalities)
        turns = self.buckets.drawn_turns(m, draws, seed)
        count = self._count.sum(axis=0)[:, None]
        found = np.zeros((m, len(self.samples), draws))
        for turn in range(m):
            taken = (turns == turn).astype(np.float64)
            for each in range(m):
                found[each] += self._turned[:, (each - turn) % m].T @ taken
        return _ratios(found, np.broadcast_to(count, found.shape))

    def _block(self, side: Matrix, start: int, stop: int, name: str) -> Float[np.ndarray, "n d"]:
        rows = read_rows(side, start, stop, name)
        if (why := why_undefined(self.estimator, start, [(name, rows)])) is not None:
            raise ModalensError(why)
        dense: np.ndarray = rows.toarray() if hasattr(rows, "toarray") else rows
        return dense

    def _add(self, sides: Float[np.ndarray, "m n d"], keys: Int[np.ndarray, " n"]) -> None:
        m, n, d = sides.shape
        several = ESTIMATORS[self.estimator].several
        if several is None:
            raise ModalensError(f"The estimator {self.estimator} is for two modalities, and there are {m}.")
        with np.errstate(over="ignore"):  # told at the end
            parts, counts = several(sides)
        buckets = self.buckets.numbers(keys)
        self.samples += sides.any(axis=0).sum(axis=0)
        add_by_cell(self._count, buckets, counts)
        rows = np.arange(n)
        wide = (self.buckets.n, m * d)
        add_by_cell(self._share.reshape(wide), buckets, parts.transpose(1, 0, 2).reshape(n, m * d))
        if self.buckets.hashed:
            of = (np.arange(m)[:, None] - self.buckets.turns(keys, m)) % m
            add_by_cell(
                self._turned.reshape(wide), buckets, parts[of, rows].transpose(1, 0, 2).reshape(n, m * d)
            )


def _ratios(share: np.ndarray, count: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios: np.ndarray = np.where(count > 0, share / count, np.nan)
    return ratios.clip(0.0, 1.0)  # only rounding lies outside
