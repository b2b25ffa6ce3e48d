"""Which feature of one training is which of another: features matched by the direction they write."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

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


@dataclass(frozen=True, eq=False)
class FoundAgain:
    """How much of one training's features others from other seeds find again; features that never fire do not count.

    Attributes
    ----------
    counts
        In how many of the others each feature has a partner, (f,); -1 for features that never fire.
    others
        How many others there are.
    share
        Share of features with a partner, mean over the others, in [0, 1].
    weighted
        The same with each feature weighted by how often it fires.
    cosine
        Cosine of a feature with the nearest of another training, mean over features and others, in [-1, 1].
    """

    counts: Int[np.ndarray, " f"]
    others: int
    share: float
    weighted: float
    cosine: float


def find_again(
    decoders: Sequence[Matrix], fired: Sequence[Int[np.ndarray, " f"]], threshold: float = 0.7
) -> list[FoundAgain]:
    """For each of several trainings, how many of its features the others found too.

    Parameters
    ----------
    decoders
        Decoder rows of each training, (f, d).
    fired
        On how many samples each feature fires, (f,); those that never do are matched with none.
    threshold
        Least cosine of a match; see :func:`match_features`.

    Raises
    ------
    ModalensError
        If widths differ, or the threshold is out of range.
    """
    live = [np.flatnonzero(each) for each in fired]
    rows = [
        normalize_rows(read_rows(each, 0, each.shape[0], "decoder"))[0][alive]
        for each, alive in zip(decoders, live, strict=True)
    ]
    counts = [np.where(np.asarray(each) > 0, 0, -1) for each in fired]
    shares: list[list[tuple[float, float, float]]] = [[] for _ in decoders]
    for one, other in combinations(range(len(decoders)), 2):
        if not (len(live[one]) and len(live[other])):
            continue
        match = match_features(rows[one], rows[other], threshold)
        nearest = _nearest_cosines(rows[one], rows[other])
        for place, found, cosine in zip((one, other), (match.first, match.second), nearest, strict=True):
            partnered = live[place][found]
            counts[place][partnered] += 1
            weights = np.asarray(fired[place])
            share = len(partnered) / len(live[place])
            weighted = float(weights[partnered].sum() / weights.sum())
            shares[place].append((share, weighted, float(cosine.mean())))
    return [
        FoundAgain(count, len(decoders) - 1, *np.mean(found, axis=0).tolist())
        if found
        else FoundAgain(count, len(decoders) - 1, np.nan, np.nan, np.nan)
        for count, found in zip(counts, shares, strict=True)
    ]


def cosine_by_chance(f: int, d: int, seed: int = 0) -> float:
    """Cosine of a random direction in d dimensions with the nearest of f others, mean over f of them."""
    first, second = np.random.default_rng((seed, 6)).standard_normal((2, f, d))
    return float(_nearest_cosines(normalize_rows(first)[0], normalize_rows(second)[0])[0].mean())


def _nearest_cosines(
    a: Float[np.ndarray, "f d"], b: Float[np.ndarray, "g d"]
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " g"]]:
    """Cosine of each row with the nearest of the other side."""
    own, back = np.empty(len(a)), np.full(len(b), -np.inf)
    for start in range(0, len(a), _BLOCK_ROWS):
        cosines = a[start : start + _BLOCK_ROWS] @ b.T
        own[start : start + len(cosines)] = cosines.max(axis=1)
        np.maximum(back, cosines.max(axis=0), out=back)
    return own, back


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
