"""The metrics made of how alike the samples of a list are."""

import numpy as np
from jaxtyping import Bool, Float, Int

# Cosines that differ by less than this differ by rounding.
_ROUNDING = 1e-12


def pairs_within(samples: Int[np.ndarray, " c"], width: int) -> Bool[np.ndarray, "c p"]:
    """Which pairs i < j of lists of ``width`` lie among the first samples of each list."""
    within: np.ndarray = np.triu_indices(width, 1)[1] < samples[:, None]
    return within


def pairs_touching(blocks: Int[np.ndarray, "c w"], left_out: tuple[int, ...]) -> Bool[np.ndarray, "c p"]:
    """Which pairs i < j of lists have a sample whose group is of a block that is left out."""
    touched = np.logical_or.reduce([blocks == block for block in left_out])
    first, second = np.triu_indices(blocks.shape[1], 1)
    touching: np.ndarray = touched[:, first] | touched[:, second]
    return touching


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
