"""How much of what a sample fires most belongs to one class."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from modalens.arrays import Block
from modalens.interpret.strongest import strongest_of_rows

STRONGEST = 20
_ROWS = 2048


def class_share(x: Block, members: Bool[np.ndarray, " f"], m: int = STRONGEST) -> Float[np.ndarray, " n"]:
    """Share of a class among the strongest features of every sample.

    Parameters
    ----------
    x
        Features of one modality, (n, f), dense or CSR.
    members
        Whether each feature is of the class.
    m
        How many features count: the largest values over 0, equal ones by index; all of a sample that has fewer.

    Returns
    -------
    share
        In [0, 1], (n,); NaN for a sample with no feature over 0. Source: Multi-Faceted Monosemanticity, Figure 5.
    """
    shares = []
    for start in range(0, x.shape[0], _ROWS):
        block = sp.coo_array(x[start : start + _ROWS])
        rows, columns = block.coords
        over = block.data > 0
        rows, columns, values = rows[over], columns[over], block.data[over]
        places = strongest_of_rows(rows, columns, values, block.shape[0], m)
        hits = np.append(members[columns], False)[places]
        with np.errstate(invalid="ignore"):
            shares.append(hits.sum(axis=1) / (places >= 0).sum(axis=1))
    return np.concatenate(shares)
