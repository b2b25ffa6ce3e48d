"""What is drawn together in resampling: the groups that pairs fall into."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int

from modalens.arrays import Matrix, iter_blocks
from modalens.errors import ModalensError


def group_keys(groups: Sequence[Any] | np.ndarray, n_pairs: int) -> Int[np.ndarray, " n"]:
    """Key of every pair: the number of its group, counted from 0 in order of appearance.

    Raises
    ------
    ModalensError
        If there is not exactly one group label for each pair.
    """
    if getattr(groups, "ndim", 1) != 1:
        raise ModalensError(
            f"groups must be one label for each pair, not an array of shape {np.shape(groups)}."
        )
    labels = pd.Series(groups).to_numpy()
    if len(labels) != n_pairs:
        raise ModalensError(
            f"groups has {len(labels)} labels for {n_pairs} pairs; give one label for each pair."
        )
    keys, _ = pd.factorize(labels)
    if (keys < 0).any():
        raise ModalensError(
            f"The pair in row {int(np.argmin(keys))} has no group label; give one for each pair."
        )
    return keys.astype(np.int64)


def repeated_rows(matrix: Matrix, rows: int | None = None) -> Int[np.ndarray, " n"]:
    """Number of each row, the same for rows that are equal, from 0 in order of appearance.

    Only the first ``rows`` rows are read, if told.
    """
    numbers: dict[bytes, int] = {}
    found = []
    for _, block in iter_blocks(matrix if rows is None else matrix[:rows]):
        sparse = sp.issparse(block)
        for row in range(block.shape[0]):
            if sparse:
                here = slice(block.indptr[row], block.indptr[row + 1])
                value = block.indices[here].tobytes() + block.data[here].tobytes()
            else:
                value = block[row].tobytes()
            found.append(numbers.setdefault(blake2b(value, digest_size=16).digest(), len(numbers)))
    return np.array(found, dtype=np.int64)
