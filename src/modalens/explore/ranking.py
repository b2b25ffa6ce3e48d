"""Cosines of a few queries with every candidate, block by block: the nearest ones, and the rank of the right one."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from modalens.arrays import normalize_rows

_ROWS = 16_384
# Cosines of single-precision embeddings that differ by less differ by rounding.
_TIE = 1e-6


def strongest(
    candidates: Any, rows: Int[np.ndarray, " n"], queries: Float[np.ndarray, "q d"], most: int
) -> tuple[Int[np.ndarray, "q m"], Float[np.ndarray, "q m"]]:
    """The candidates nearest to each query by cosine, nearest first: rows of the store, and cosines.

    Parameters
    ----------
    candidates
        A side of a store.
    rows
        Rows of the store to look at.
    queries
        Embeddings.
    most
        How many to give; fewer where there are fewer candidates.
    """
    most = min(most, len(rows))
    unit = normalize_rows(np.asarray(queries, dtype=np.float64))[0]
    found = np.empty((len(unit), 0), dtype=np.int64)
    values = np.empty((len(unit), 0))
    for start in range(0, len(rows), _ROWS):
        here = rows[start : start + _ROWS]
        cosines = _cosines(unit, candidates, here)
        found = np.concatenate([found, np.broadcast_to(here, cosines.shape)], axis=1)
        values = np.concatenate([values, cosines], axis=1)
        kept = np.argsort(-values, axis=1, kind="stable")[:, :most]
        found, values = np.take_along_axis(found, kept, 1), np.take_along_axis(values, kept, 1)
    return found, values


def ranks(
    candidates: Any,
    rows: Int[np.ndarray, " n"],
    queries: Float[np.ndarray, "q d"],
    right: Int[np.ndarray, " r"],
) -> tuple[Int[np.ndarray, " q"], Float[np.ndarray, " q"]]:
    """The rank, from 1, of the nearest right candidate of each query, and its cosine; a tie counts against it.

    Parameters
    ----------
    candidates, rows, queries
        As for :func:`strongest`.
    right
        Rows of the store of which any is right.
    """
    unit = normalize_rows(np.asarray(queries, dtype=np.float64))[0]
    best = (unit @ unit_rows(candidates, right).T).max(axis=1)
    nearer = np.zeros(len(unit), dtype=np.int64)
    for start in range(0, len(rows), _ROWS):
        here = rows[start : start + _ROWS]
        here = here[~np.isin(here, right)]
        nearer += (_cosines(unit, candidates, here) >= best[:, None] - _TIE).sum(axis=1)
    return nearer + 1, best


def _cosines(
    unit: Float[np.ndarray, "q d"], matrix: Any, rows: Int[np.ndarray, " k"]
) -> Float[np.ndarray, "q k"]:
    """Cosines of queries of length 1 with some rows of a side; 0 with a row of zeros."""
    block = np.asarray(matrix.pick(rows)[0 : len(rows)], dtype=np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
    found: np.ndarray = unit @ block.T / np.where(lengths > 0, lengths, 1.0)
    return found


def unit_rows(matrix: Any, rows: Int[np.ndarray, " k"]) -> Float[np.ndarray, "k d"]:
    """Some rows of a side at length 1."""
    picked = matrix.pick(rows)
    unit: np.ndarray = normalize_rows(np.asarray(picked[0 : len(rows)], dtype=np.float64))[0]
    return unit
