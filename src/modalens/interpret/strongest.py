"""The strongest few entries of every row of a matrix given as a list of entries."""

import numpy as np
from jaxtyping import Float, Int


def strongest_of_rows(
    rows: Int[np.ndarray, " nnz"],
    columns: Int[np.ndarray, " nnz"],
    values: Float[np.ndarray, " nnz"],
    n_rows: int,
    k: int,
) -> Int[np.ndarray, "r k"]:
    """Places, in the list of entries, of the k largest of every row, largest first; equal ones by column.

    Parameters
    ----------
    rows, columns, values
        The entries, in any order.
    n_rows, k
        Rows there are, and entries wanted of each.

    Returns
    -------
    places
        -1 where a row has fewer than k entries; see :func:`taken`.
    """
    order = np.lexsort((columns, -values, rows))
    rows = rows[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = rank < k
    places = np.full((n_rows, k), -1, dtype=np.int64)
    places[rows[kept], rank[kept]] = order[kept]
    return places


def taken(values: np.ndarray, places: Int[np.ndarray, "r k"], missing: float) -> np.ndarray:
    """Values at the places, and ``missing`` where the place is -1; (r, k), of the type of ``values``."""
    picked: np.ndarray = np.append(values, values.dtype.type(missing))[places]
    return picked
