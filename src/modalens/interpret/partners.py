"""Bridges from features of one side to features of the other: the strongest, for true and for shuffled pairs."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from modalens.arrays import Matrix, iter_blocks, normalize_rows
from modalens.compiled import on_cores
from modalens.interpret.bridge_kernels import keep_strongest
from modalens.interpret.correlation import Correlations, Entries, Side, read_side
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
        lists = self.features, self.correlations, self.geometries, self.bridges
        cosines = np.empty(0, dtype=np.float32) if cosines is None else cosines
        keep_strongest(*entries, cosines, lists, self.highest_correlation)


class Links(NamedTuple):
    """What links two sides: the partners of the features of either side, and the best bridges by chance.

    Attributes
    ----------
    partners
        Those of the features of both sides, for each pairing that they were asked for.
    by_chance
        The best bridge of every feature, first those of the first side, in each shuffled pairing, (b, f); 0 where none
        is positive.
    """

    partners: list[tuple[Partners, Partners]]
    by_chance: Float[np.ndarray, "b f"]


def link_sides(
    image: OneSided,
    text: OneSided,
    judged: Sequence[Int[np.ndarray, " n"]],
    shuffled: Sequence[Int[np.ndarray, " n"]],
    k: int,
) -> Links:
    """The k strongest partners of every feature in some pairings of the rows, and the best bridges in others."""
    correlations = Correlations(image.side, text.side)
    of_judged = [correlations.pairing(order) for order in judged]
    of_shuffled = [correlations.pairing(order) for order in shuffled]
    partners = [(Partners(correlations.shape[0], k), Partners(correlations.shape[1], k)) for _ in judged]
    best = np.zeros((len(shuffled), sum(correlations.shape)))
    of_image, of_text = best[:, : correlations.shape[0]], best[:, correlations.shape[0] :]
    with progress_bar("shuffling pairs", correlations.shape[0]) as advance:
        for start, stop in correlations.blocks(_BLOCK_ENTRIES):
            geometry = _geometry(image, text, start, stop)
            for pairing, found in zip(of_judged, partners, strict=True):
                rows, columns, values = correlations.block(start, stop, pairing)
                cosines = None if geometry is None else geometry[rows, columns]
                rows, values = start + rows, values.clip(-1.0, 1.0)  # only rounding lies outside
                found[0].add(Entries(rows, columns, values), cosines)
                found[1].add(Entries(columns, rows, values), cosines)
            raise_best = partial(correlations.raise_best, start, stop, geometry)
            on_cores(raise_best, zip(of_shuffled, of_image, of_text, strict=True))
            advance(stop - start)
    return Links(partners, best)


def _geometry(image: OneSided, text: OneSided, start: int, stop: int) -> Float[np.ndarray, "b f"] | None:
    """max(0, cosine) of the decoder rows of a block; None where there is no decoder."""
    if image.directions is None or text.directions is None:
        return None
    cosines: np.ndarray = image.directions[start:stop] @ text.directions.T
    return cosines.clip(0.0, 1.0, out=cosines)  # over 1 by rounding alone
