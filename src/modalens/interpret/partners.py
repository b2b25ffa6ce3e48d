"""Bridges from features of one side to features of the other: the strongest, for true and for shuffled pairs."""

from collections.abc import Iterable
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


class Partners:
    """The strongest partners of some features so far.

    Attributes
    ----------
    features
        Partners by their place among the features of the other side, (f, k); -1 for none.
    correlations, geometries, bridges
        What links them, (f, k); NaN for none.
    highest_correlation
        Largest correlation with any feature of the other side, (f,); NaN where none fires together with it.
    """

    def __init__(self, n_features: int, k: int) -> None:
        self.features = np.full((n_features, k), -1, dtype=np.int64)
        self.correlations, self.geometries, self.bridges = np.full((3, n_features, k), np.nan)
        self.highest_correlation = np.full(n_features, np.nan)

    def add(self, entries: Entries, cosines: Float[np.ndarray, " nnz"] | None) -> None:
        """Merge correlations of these features (the rows) with features of the other side (the columns)."""
        np.fmax.at(self.highest_correlation, entries.rows, entries.values)
        bridges = _bridges(entries, cosines)
        geometries = np.full(len(bridges), np.nan) if cosines is None else cosines
        new, old = bridges > 0, self.features >= 0
        rows = np.concatenate([np.nonzero(old)[0], entries.rows[new]])
        features = np.concatenate([self.features[old], entries.columns[new]])
        correlations = np.concatenate([self.correlations[old], entries.values[new]])
        geometries = np.concatenate([self.geometries[old], geometries[new]])
        bridges = np.concatenate([self.bridges[old], bridges[new]])
        places = strongest_of_rows(rows, features, bridges, *self.features.shape)
        self.features = taken(features, places, -1)
        self.correlations = taken(correlations, places, np.nan)
        self.geometries = taken(geometries, places, np.nan)
        self.bridges = taken(bridges, places, np.nan)


def strongest_partners(
    image: OneSided, text: OneSided, pairing: Int[np.ndarray, " n"], k: int
) -> tuple[Partners, Partners]:
    """The partners of the features of either side, for one pairing of the rows."""
    correlations = Correlations(image.side, text.side)
    of_image, of_text = (Partners(size, k) for size in correlations.shape)
    prepared = correlations.pairing(pairing)
    for start, stop in correlations.blocks(_BLOCK_ENTRIES):
        rows, columns, values = correlations.block(start, stop, prepared)
        geometry = _geometry(image, text, start, stop)
        cosines = None if geometry is None else geometry[rows, columns].clip(None, 1.0)
        rows, values = start + rows, values.clip(-1.0, 1.0)  # only rounding lies outside
        of_image.add(Entries(rows, columns, values), cosines)
        of_text.add(Entries(columns, rows, values), cosines)
    return of_image, of_text


def best_bridges(
    image: OneSided, text: OneSided, orders: Iterable[Int[np.ndarray, " n"]]
) -> tuple[Float[np.ndarray, "b f1"], Float[np.ndarray, "b f2"]]:
    """The best bridge of every feature of either side in each pairing of the rows; 0 where none is positive."""
    correlations = Correlations(image.side, text.side)
    pairings = [correlations.pairing(order) for order in orders]
    of_image, of_text = (np.zeros((len(pairings), size)) for size in correlations.shape)
    with progress_bar("shuffling pairs", len(pairings) * correlations.shape[0]) as advance:
        for start, stop in correlations.blocks(_BLOCK_ENTRIES):
            geometry = _geometry(image, text, start, stop)
            for draw, pairing in enumerate(pairings):
                entries = correlations.block(start, stop, pairing)
                cosines = None
                if geometry is not None:  # by place in the flat block: twice as fast as by row and column
                    cosines = geometry.ravel()[entries.rows * geometry.shape[1] + entries.columns]
                bridges = _bridges(entries, cosines)
                np.maximum.at(of_image[draw], start + entries.rows, bridges)
                np.maximum.at(of_text[draw], entries.columns, bridges)
                advance(stop - start)
    return of_image, of_text


def _geometry(image: OneSided, text: OneSided, start: int, stop: int) -> Float[np.ndarray, "b f"] | None:
    """max(0, cosine) of the decoder rows of a block; None where there is no decoder."""
    if image.directions is None or text.directions is None:
        return None
    cosines: np.ndarray = np.maximum(image.directions[start:stop] @ text.directions.T, 0.0)
    return cosines


def _bridges(entries: Entries, cosines: Float[np.ndarray, " nnz"] | None) -> Float[np.ndarray, " nnz"]:
    return entries.values if cosines is None else entries.values * cosines
