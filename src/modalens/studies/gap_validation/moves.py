"""Known means of closing the gap of paired embeddings, from not at all to wholly."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from modalens.arrays import normalize_rows

Sides: TypeAlias = tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]
# Takes both sides, how far to close the gap in [0, 1], and a seed.
Move: TypeAlias = Callable[[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"], float, int], Sides]


def without_mean(
    image: Float[np.ndarray, "n d"], text: Float[np.ndarray, "n d"], closed: float, seed: int = 0
) -> Sides:
    """Move each side's mean towards the other's, to the middle at 1; nothing else changes."""
    del seed
    half = closed * (image.mean(axis=0) - text.mean(axis=0)) / 2
    return image - half, text + half


def shifted(
    image: Float[np.ndarray, "n d"], text: Float[np.ndarray, "n d"], closed: float, seed: int = 0
) -> Sides:
    """The published shift: unit vectors moved along the difference of means and normalised again.

    Normalize(x - lambda gap) and Normalize(y + lambda gap) with lambda = closed / 2 (Liang et al. 2022, section 4.2).
    """
    moved = without_mean(normalize_rows(image)[0], normalize_rows(text)[0], closed, seed)
    return normalize_rows(moved[0])[0], normalize_rows(moved[1])[0]


def alike_moments(
    image: Float[np.ndarray, "n d"], text: Float[np.ndarray, "n d"], closed: float, seed: int = 0
) -> Sides:
    """Move mean and standard deviation of each dimension of a side to the middle of both sides'."""
    del seed
    means = [side.mean(axis=0) for side in (image, text)]
    spreads = [np.maximum(side.std(axis=0), 1e-12) for side in (image, text)]
    middle, common = sum(means) / 2, sum(spreads) / 2
    moved = [
        (side - mean) * (1 + closed * (common / spread - 1)) + mean + closed * (middle - mean)
        for side, mean, spread in zip((image, text), means, spreads, strict=True)
    ]
    return moved[0], moved[1]


def swapped(
    image: Float[np.ndarray, "n d"], text: Float[np.ndarray, "n d"], closed: float, seed: int = 0
) -> Sides:
    """Exchange the sides of a random half of the pairs at 1, of fewer before, so that the labels mean less and less.

    The difference of means falls to 1 - closed of what it was: here all that must follow is known.
    """
    order = np.random.default_rng(seed).permutation(len(image))
    turned = np.zeros((len(image), 1), dtype=bool)
    turned[order[: round(closed * len(image) / 2)]] = True
    return np.where(turned, text, image), np.where(turned, image, text)


MOVES: Mapping[str, tuple[str, Move]] = {
    "swap": ("the sides of more and more pairs exchanged, half of them at the end", swapped),
    "mean": ("each side's mean moved to the middle", without_mean),
    "shift": ("the same on unit vectors, normalised again (Liang et al. 2022)", shifted),
    "moments": ("mean and standard deviation of each dimension moved to the middle", alike_moments),
}
