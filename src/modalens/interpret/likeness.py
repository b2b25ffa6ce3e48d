"""How alike the samples of a list are, whole and with a block of groups left out, and the metrics made of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

# Cosines that differ by less than this differ by rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of samples, of each of which the first ``width`` count; the others stand in for those left out.

    Attributes
    ----------
    cosines
        Cosines of the pairs i < j of each list, (c, p), in the order of ``np.triu_indices``.
    blocks
        Block of the group of each sample, (c, w); -1 where a list is shorter.
    width
        Samples that count, at most w.
    """

    cosines: Float[np.ndarray, "c p"]
    blocks: Int[np.ndarray, "c w"]
    width: int

    def first(self) -> tuple[Float[np.ndarray, "c q"], Int[np.ndarray, " c"]]:
        """Cosines of the pairs i < j among the first samples, and how many samples these are."""
        return self._among(self.blocks >= 0)

    def without(self, block: int) -> tuple[Float[np.ndarray, "c q"], Int[np.ndarray, " c"]]:
        """The same for the first samples that are not of a block."""
        return self._among((self.blocks >= 0) & (self.blocks != block))

    def _among(self, stays: Bool[np.ndarray, "c w"]) -> tuple[np.ndarray, np.ndarray]:
        length = stays.shape[1]
        places = np.argsort(~stays, axis=1, kind="stable")[:, : self.width]
        one, other = (places[:, side] for side in np.triu_indices(self.width, 1))
        low, high = np.minimum(one, other), np.maximum(one, other)
        pairs = low * (2 * length - low - 1) // 2 + high - low - 1
        return np.take_along_axis(self.cosines, pairs, axis=1), np.minimum(stays.sum(axis=1), self.width)


def pairs_within(samples: Int[np.ndarray, " c"], width: int) -> Bool[np.ndarray, "c p"]:
    """Which pairs i < j of lists of ``width`` lie among the first samples of each list."""
    within: np.ndarray = np.triu_indices(width, 1)[1] < samples[:, None]
    return within


def embsim(
    strong: Float[np.ndarray, "c p"], counted: Bool[np.ndarray, "c p"], chance: float
) -> Float[np.ndarray, " c"]:
    """How much more alike samples are than by chance, as a share of that; NaN where chance is 0 or nothing counts."""
    if not abs(chance) > _ROUNDING:
        return np.full(len(strong), np.nan)
    return (_mean(strong, counted) - chance) / abs(chance)


def winrate(
    strong: Float[np.ndarray, "c p"], random: Float[np.ndarray, "c p"], counted: Bool[np.ndarray, "c p"]
) -> Float[np.ndarray, " c"]:
    """Share of counted pairs that are more alike than the random pair in their place; NaN where nothing counts."""
    return _mean(strong - random > _ROUNDING, counted)


def embsim_elementwise(
    strong: Float[np.ndarray, "c p"], random: Float[np.ndarray, "c p"], counted: Bool[np.ndarray, "c p"]
) -> Float[np.ndarray, " c"]:
    """Mean of (S+ - S-) / S- over the counted pairs, without those whose S- is 0."""
    defined = counted & (np.abs(random) > _ROUNDING)
    return _mean(np.divide(strong - random, random, where=defined, out=np.zeros_like(random)), defined)


def _mean(values: np.ndarray, counted: Bool[np.ndarray, "c p"]) -> Float[np.ndarray, " c"]:
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(counted, values, 0.0).sum(axis=1) / counted.sum(axis=1)
    return mean
