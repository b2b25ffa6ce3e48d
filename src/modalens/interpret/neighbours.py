"""Which features point the same way."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Matrix, iter_blocks, matrix_shape, normalize_rows
from modalens.interpret.strongest import strongest_of_rows, taken
from modalens.statistics.checks import check_whole

# Cosines held at a time.
_BLOCK_ENTRIES = 2**23


def nearest_features(
    directions: Matrix, k: int = 5
) -> tuple[Int[np.ndarray, "f k"], Float[np.ndarray, "f k"]]:
    """The k features nearest to each by cosine of their directions, nearest first.

    Parameters
    ----------
    directions
        One row per feature, (f, d): decoder rows, or, for a representation without a decoder, what stands for
        a feature's direction, such as its activations over samples (the transposed codes). Dense or sparse.
    k
        Neighbours of each feature, at least 1.

    Returns
    -------
    indices
        Features, (f, k); a feature is never its own neighbour, and -1 stands where there are too few others.
    cosine
        Their cosines in [-1, 1], (f, k), NaN where the index is -1; of equal ones the lower index comes first. A
        row of zeros has no direction: it has no neighbours and is nobody's.

    Raises
    ------
    ModalensError
        If ``k`` is no positive whole number, the matrix is empty, or a value is NaN or infinite.
    """
    k = check_whole("k", k, 1)
    f, _ = matrix_shape(directions, "The matrix of directions")
    unit, directed = _unit_rows(directions)
    indices = np.full((f, k), -1, dtype=np.int64)
    cosine = np.full((f, k), np.nan)
    kept = min(k, f - 1)
    step = max(_BLOCK_ENTRIES // f, 1)
    for start in range(0, f if kept else 0, step):
        rows = np.arange(start, min(start + step, f))
        product = unit[rows] @ unit.T
        near = product.toarray() if sp.issparse(product) else product
        near[:, ~directed] = -np.inf
        near[np.arange(len(rows)), rows] = -np.inf
        near[~directed[rows]] = -np.inf
        weakest = np.partition(near, f - kept, axis=1)[:, f - kept, None]
        row, column = np.nonzero((near >= weakest) & np.isfinite(near))
        values = near[row, column].clip(-1, 1)
        places = strongest_of_rows(row, column, values, len(rows), k)
        indices[rows], cosine[rows] = taken(column, places, -1), taken(values, places, np.nan)
    return indices, cosine


def _unit_rows(directions: Matrix) -> tuple[Matrix, np.ndarray]:
    """All rows at length 1, and which of them have a direction."""
    blocks, peaks = zip(
        *(normalize_rows(block) for _, block in iter_blocks(directions, name="direction")), strict=True
    )
    sparse = sp.issparse(blocks[0])
    unit = sp.csr_array(sp.vstack(blocks, format="csr")) if sparse else np.concatenate(blocks)
    return unit, np.concatenate(peaks) > 0
