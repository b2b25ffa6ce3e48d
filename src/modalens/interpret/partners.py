"""Bridges from features of one side to features of the other: the strongest, for true and for shuffled pairs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from modalens.arrays import Matrix, iter_blocks, normalize_rows
from modalens.interpret.correlation import Correlations, Entries, Side, read_side
from modalens.interpret.strongest import strongest_of_rows, taken
from modalens.progress import progress_bar

# Correlations in memory at a time.
_BLOCK_ENTRIES = 2**24


class OneSided(NamedTuple):
    """The one-sided features of one modality: which they are, their codes, and their unit decoder rows."""

    features: Int[np.ndarray, " f"]
    side: Side
    directions: Float[np.ndarray, "f d"] | None

    @classmethod
    def read(
        cls,
        codes: Matrix,
        decoder: Matrix | None,
        features: Int[np.ndarray, " f"],
        chosen: Bool[np.ndarray, " n"],
        name: str,
    ) -> "OneSided":
        """Read these features of the chosen pairs, and their rows of the decoder if there is one."""
        directions = None
        if decoder is not None:
            wanted = np.isin(np.arange(decoder.shape[0]), features)
            parts = [
                normalize_rows(block)[0][wanted[start : start + block.shape[0]]].astype(np.float32)
                for start, block in iter_blocks(decoder, name="decoder")
            ]
            directions = np.concatenate(parts)
        return cls(features, read_side(codes, features, chosen, name), directions)


class Partners(NamedTuple):
    """Partners (f, k) of some features, and the highest correlation (f,) of each."""

    features: Int[np.ndarray, "f k"]
    correlations: Float[np.ndarray, "f k"]
    geometries: Float[np.ndarray, "f k"]
    bridges: Float[np.ndarray, "f k"]
    highest_correlation: Float[np.ndarray, " f"]

    def and_then(self, others: "Partners") -> "Partners":
        """These features, and then the others."""
        return Partners(*(np.concatenate(both) for both in zip(self, others, strict=True)))


def _cosines(left: OneSided, right: OneSided, start: int, stop: int) -> Float[np.ndarray, "b f"] | None:
    """max(0, geometry) of a block; None where there is no decoder."""
    if left.directions is None or right.directions is None:
        return None
    cosines: np.ndarray = np.maximum(left.directions[start:stop] @ right.directions.T, 0.0)
    return cosines


def _weighted(entries: Entries, cosines: Float[np.ndarray, "b f"] | None) -> Float[np.ndarray, " nnz"]:
    """Bridges from correlations."""
    if cosines is None:
        return entries.values
    place = entries.rows * cosines.shape[1] + entries.columns
    strength: np.ndarray = entries.values * cosines.ravel()[place]
    return strength


def best_bridges(
    image: OneSided, text: OneSided, orders: Int[np.ndarray, "b n"]
) -> tuple[Float[np.ndarray, "b f1"], Float[np.ndarray, "b f2"]]:
    """The best bridge of every feature of either side in every shuffle; 0 where none is positive."""
    correlations = Correlations(image.side, text.side)
    best = tuple(np.zeros((len(orders), size)) for size in correlations.shape)
    with progress_bar("shuffling pairs", len(orders) * correlations.shape[0]) as advance:
        for start, stop in correlations.blocks(_BLOCK_ENTRIES):
            cosines = _cosines(image, text, start, stop)
            for of_image, of_text, order in zip(*best, orders, strict=True):
                entries = correlations.block(start, stop, order)
                strength = _weighted(entries, cosines)
                np.maximum.at(of_image, start + entries.rows, strength)
                np.maximum.at(of_text, entries.columns, strength)
                advance(stop - start)
    return best[0], best[1]


def strongest_partners(left: OneSided, right: OneSided, order: Int[np.ndarray, " n"], k: int) -> Partners:
    """The partners of the left features among the right ones, for one pairing."""
    correlations = Correlations(left.side, right.side)
    f = correlations.shape[0]
    found = Partners(
        features=np.full((f, k), -1),
        correlations=np.full((f, k), np.nan),
        geometries=np.full((f, k), np.nan),
        bridges=np.full((f, k), np.nan),
        highest_correlation=np.full(f, -np.inf),
    )
    for start, stop in correlations.blocks(_BLOCK_ENTRIES):
        cosines = _cosines(left, right, start, stop)
        entries = correlations.block(start, stop, order)
        entries = entries._replace(values=entries.values.clip(-1.0, 1.0))  # only rounding lies outside
        np.maximum.at(found.highest_correlation, start + entries.rows, entries.values)
        strength = _weighted(entries, cosines)
        positive = strength > 0
        rows, columns, values = (part[positive] for part in entries)
        strength = strength[positive]
        places = strongest_of_rows(rows, columns, strength, stop - start, k)
        found.features[start:stop] = taken(right.features[columns], places, -1)
        found.correlations[start:stop] = taken(values, places, np.nan)
        found.bridges[start:stop] = taken(strength, places, np.nan)
        if cosines is not None:
            found.geometries[start:stop] = taken(cosines[rows, columns], places, np.nan).clip(None, 1)
    return found._replace(
        highest_correlation=np.where(np.isinf(found.highest_correlation), np.nan, found.highest_correlation)
    )
