"""The strongest few entries of every row of a matrix given as a list of entries."""

import numpy as np
from jaxtyping import Float, Int


def strongest_of_rows(
    rows: Int[np.ndarray, " nnz"],
    columns: Int[np.ndarray, " nnz"],
    values: Float[np.ndarray, " nnz"],
    n_rows: int,
    k: int,
) -> tuple[Int[np.ndarray, "r k"], Float[np.ndarray, "r k"]]:
    """Columns and values of the k largest entries of every row, largest first; equal ones by column.

    Parameters
    ----------
    rows, columns, values
        The entries, in any order, none twice.
    n_rows, k
        Rows there are, and places each has.

    Returns
    -------
    columns, values
        -1 and NaN where a row has fewer than k entries.
    """
    order = np.lexsort((columns, -values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = place < k
    best_columns = np.full((n_rows, k), -1, dtype=np.int64)
    best_values = np.full((n_rows, k), np.nan)
    best_columns[rows[kept], place[kept]] = columns[kept]
    best_values[rows[kept], place[kept]] = values[kept]
    return best_columns, best_values
