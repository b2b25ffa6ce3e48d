"""Which feature of one training is which of another: features matched by the direction they write."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from modalens.arrays import Matrix, matrix_shape, normalize_rows, read_rows
from modalens.errors import ModalensError

# Up to here the best assignment is found (its table of cosines is 32 MiB); beyond, mutual nearest neighbours.
_ASSIGNED = 2048
_BLOCK_ROWS = 1024


@dataclass(frozen=True, eq=False)
class FeatureMatch:
    """Matched features: no feature is in two couples.

    Attributes
    ----------
    first, second
        Feature indices on each side, (k,); ``first`` is sorted.
    cosine
        Cosine of the two directions, (k,); 1 for the same direction.
    """

    first: Int[np.ndarray, " k"]
    second: Int[np.ndarray, " k"]
    cosine: Float[np.ndarray, " k"]

    def __len__(self) -> int:
        return len(self.first)


def match_features(first: Matrix, second: Matrix, threshold: float = 0.7) -> FeatureMatch:
    """Match features by the cosine of their decoder rows.

    Up to 2,048 features a side the couples are those with the largest sum of cosines (Hungarian algorithm);
    with more, each is the other's nearest. Couples under the threshold are dropped.

    Parameters
    ----------
    first, second
        Decoder rows, (f, d) and (g, d). Signs count: an opposite direction is no match.
    threshold
        Least cosine of a match, in [-1, 1].

    Raises
    ------
    ModalensError
        If the two have different widths, or the threshold is out of range.
    """
    rows, width = matrix_shape(first, "The first decoder")
    others, other_width = matrix_shape(second, "The second decoder")
    if width != other_width:
        raise ModalensError(
            f"Decoder rows of {width} and of {other_width} dimensions cannot be matched: both sets of features must "
            "be learned on one space."
        )
    if not -1 <= threshold <= 1:
        raise ModalensError(f"The threshold is a cosine between -1 and 1, not {threshold!r}.")
    a = normalize_rows(read_rows(first, 0, rows, "first decoder"))[0]
    b = normalize_rows(read_rows(second, 0, others, "second decoder"))[0]
    if max(rows, others) <= _ASSIGNED:
        cosines = a @ b.T
        i, j = linear_sum_assignment(cosines, maximize=True)
        cosine = cosines[i, j]
    else:
        i, j, cosine = _mutual_nearest(a, b)
    near = cosine >= threshold
    return FeatureMatch(i[near], j[near], cosine[near])


def _mutual_nearest(
    a: Float[np.ndarray, "f d"], b: Float[np.ndarray, "g d"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Couples of which each is the other's nearest, in blocks of the first side."""
    nearest = np.empty(len(a), dtype=np.int64)
    cosine = np.empty(len(a))
    back = np.zeros(len(b), dtype=np.int64)
    best = np.full(len(b), -np.inf)
    for start in range(0, len(a), _BLOCK_ROWS):
        cosines = a[start : start + _BLOCK_ROWS] @ b.T
        here = slice(start, start + len(cosines))
        nearest[here], cosine[here] = cosines.argmax(axis=1), cosines.max(axis=1)
        nearer = cosines.max(axis=0) > best
        back[nearer] = start + cosines.argmax(axis=0)[nearer]
        best[nearer] = cosines.max(axis=0)[nearer]
    mutual = np.flatnonzero(back[nearest] == np.arange(len(a)))
    return mutual, nearest[mutual], cosine[mutual]
