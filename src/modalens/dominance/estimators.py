"""Estimators of dominance: what a pair adds to a feature's score. A new one is a line in ``ESTIMATORS``."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modalens.dominance.kernels import add_energy, add_ratio
from modalens.errors import ModalensError

Parts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Estimator:
    """A score R = sum u / sum c over pairs.

    Attributes
    ----------
    about
        What it is, as a phrase, with its source.
    parts
        From the magnitudes a, b >= 0 of both sides, entry by entry, to u, the first side's share of a pair, and c,
        what the pair counts for; 0 <= u <= c, and swapping the sides turns u into c - u.
    degree
        By which power u and c grow with the values, so that sums are kept on a scale where they neither overflow
        nor vanish; 0 where they do not grow.
    non_negative
        Whether features must not be negative.
    same_as
        The estimator that it agrees with wherever both are defined; None for none.
    compiled
        A compiled pass that adds u and c to sums by cell, see :func:`modalens.dominance.kernels.add_ratio`; without one
        ``parts`` is used.
    counts_pairs
        Whether c is 0 or 1.
    several
        The same as ``parts`` for m modalities: from magnitudes (m, n, d) to each one's u, (m, n, d), and c, (n, d).
        None for an estimator of two modalities alone.
    """

    about: str
    parts: Callable[[np.ndarray, np.ndarray], Parts]
    degree: int = 0
    non_negative: bool = False
    same_as: str | None = None
    compiled: Callable[..., np.ndarray] | None = None
    counts_pairs: bool = False
    several: Callable[[np.ndarray], Parts] | None = None


def _mean_ratio(a: np.ndarray, b: np.ndarray) -> Parts:
    """a / (a + b), 0 where both are 0, without overflow or underflow; such pairs do not count."""
    counted = (a > 0) | (b > 0)
    top = np.maximum(a, b)
    top[top == 0] = 1.0
    a = a / top
    share: np.ndarray = a / np.maximum(a + b / top, 1.0)
    return share, counted.astype(np.float64)


def _energy_ratio(a: np.ndarray, b: np.ndarray) -> Parts:
    share = a * a
    return share, share + b * b


def _mean_shares(sides: np.ndarray) -> Parts:
    top = sides.max(axis=0)
    counted = (top > 0).astype(np.float64)
    shares = sides / np.where(top > 0, top, 1.0)
    shares /= np.maximum(shares.sum(axis=0), 1.0)
    return shares, counted


def _energy_shares(sides: np.ndarray) -> Parts:
    squares = sides * sides
    return squares, squares.sum(axis=0)


ESTIMATORS: dict[str, Estimator] = {
    "mean_ratio": Estimator(
        "mean over pairs of abs(A) / (abs(A) + abs(B)), A the image side (Beyond Cross-Modal Alignment, text of "
        "section 3; Multi-Faceted Monosemanticity v2, Eq. 4)",
        _mean_ratio,
        compiled=add_ratio,
        counts_pairs=True,
        several=_mean_shares,
    ),
    "energy_ratio": Estimator(
        "sum A^2 / sum (A^2 + B^2) (Beyond Cross-Modal Alignment, Eq. 1)",
        _energy_ratio,
        degree=2,
        compiled=add_energy,
        several=_energy_shares,
    ),
    "signed_ratio": Estimator(
        "mean of A / (A + B), for non-negative features only (Multi-Faceted Monosemanticity v1)",
        _mean_ratio,
        non_negative=True,
        same_as="mean_ratio",
        compiled=add_ratio,
        counts_pairs=True,
        several=_mean_shares,
    ),
}


def check_estimator(estimator: str) -> str:
    """The estimator itself, if there is one of this name."""
    if estimator not in ESTIMATORS:
        raise ModalensError(f"There is no estimator {estimator!r}; choose one of {', '.join(ESTIMATORS)}.")
    return estimator


def alternatives(estimator: str) -> tuple[str, ...]:
    """Estimators that may give other scores than this one, one of each that agree."""
    own = ESTIMATORS[check_estimator(estimator)].same_as or estimator
    return tuple(name for name, each in ESTIMATORS.items() if each.same_as is None and name != own)
