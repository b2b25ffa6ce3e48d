"""Feature splitting and absorption: over how many features an attribute is spread, and where others stand in for them.

After SAEBench (Karvonen et al. 2025, arXiv 2503.09532; Chanin et al. 2024, arXiv 2409.14507), whose attributes are
first letters of words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.studies.sparse_probing.answers import Answers, Fold, Side
from modalens.studies.sparse_probing.attributes import Attributes
from modalens.studies.sparse_probing.balanced import paired_gain


def split_numbers(
    right: Bool[np.ndarray, "K A n"],
    labels: Bool[np.ndarray, "A n"],
    numbers: Sequence[int],
    keys: Int[np.ndarray, " n"],
    gain: float,
    seed: int,
) -> Int[np.ndarray, " A"]:
    """Number of features that share an attribute: the first k of the list whose successor is not worth its features.

    From k to the next number the held-out balanced accuracy must rise by more than ``gain``, and the 95 % interval of
    the rise lie over 0.
    """
    found = np.full(right.shape[1], numbers[0])
    for attribute, there in enumerate(labels):
        for place in range(1, len(numbers)):
            rise, low, _ = paired_gain(
                right[place, attribute], right[place - 1, attribute], there, keys, seed
            )
            if not (rise > gain and low > 0):
                break
            found[attribute] = numbers[place]
    return found


@dataclass(frozen=True, eq=False)
class Absorption:
    """What becomes of pairs that have an attribute and that the dense probe gets right, held out.

    Attributes
    ----------
    right
        Those pairs, (A, n).
    silent
        Those of them on which the main features add nothing.
    absorbed
        Those of the silent ones on which one other feature adds what the main features usually do.
    chance
        The same as ``absorbed`` with what other features add to the logit exchanged among them, (r, A, n).
    """

    right: Bool[np.ndarray, "A n"]
    silent: Bool[np.ndarray, "A n"]
    absorbed: Bool[np.ndarray, "A n"]
    chance: Bool[np.ndarray, "r A n"]


def absorption_of(
    side: Side,
    attributes: Attributes,
    answers: Answers,
    splits: Int[np.ndarray, " A"],
    live: Int[np.ndarray, " l"],
    draws: int,
    least: float,
    seed: int,
) -> Absorption:
    """Find pairs on which the main features of an attribute are silent, and whether one other takes their place.

    Main features are those of the sparse probe of ``splits`` features that fire for the attribute. A feature adds
    (z - mean z in training) times what a unit of it adds to the logit of the dense probe of the embedding. Main
    features are silent where they add nothing together (at most 0). Another feature that fires there absorbs the
    attribute if it adds at least ``least`` times what the main features add on average, over training pairs with the
    attribute on which they add something.
    """
    size, n = attributes.positive.shape
    right = attributes.positive & answers.embedding
    silent, absorbed = np.zeros((2, size, n), dtype=bool)
    chance = np.zeros((draws, size, n), dtype=bool)
    for fold in answers.folds:
        mean = np.asarray(side.features[fold.train].mean(axis=0)).ravel()
        for attribute in range(size):
            main = _main(fold, attribute, int(splits[attribute]))
            gains = fold.gains[:, attribute]
            known = fold.train[attributes.positive[attribute, fold.train]]
            added = _added(side, known, main, mean, gains).sum(axis=1)
            if not (added > 0).any():
                continue
            enough = least * added[added > 0].mean()
            rows = fold.test[right[attribute, fold.test]]
            rows = rows[_added(side, rows, main, mean, gains).sum(axis=1) <= 0]
            silent[attribute, rows] = True
            others = np.setdiff1d(live, main)
            if not len(rows) or not len(others):
                continue
            fires = _columns(side, rows, others)
            above = np.where(fires != 0, fires - mean[others], 0)
            absorbed[attribute, rows] = (above * gains[others]).max(axis=1) >= enough
            for draw in range(draws):
                dealt = np.random.default_rng([seed, 4, attribute, draw]).permutation(gains[others])
                chance[draw, attribute, rows] = (above * dealt).max(axis=1) >= enough
    return Absorption(right, silent, absorbed, chance)


def _main(fold: Fold, attribute: int, number: int) -> Int[np.ndarray, " k"]:
    """The features of the sparse probe that fire for the attribute; the first where none does."""
    picks = fold.picks[attribute, :number]
    firing = picks[fold.signed[attribute, :number]]
    return firing if len(firing) else picks[:1]


def _added(
    side: Side,
    rows: Int[np.ndarray, " r"],
    features: Int[np.ndarray, " k"],
    mean: Float[np.ndarray, " f"],
    gains: Float[np.ndarray, " f"],
) -> Float[np.ndarray, "r k"]:
    """What features add to a logit on some pairs."""
    found: np.ndarray = (_columns(side, rows, features) - mean[features]) * gains[features]
    return found


def _columns(side: Side, rows: Int[np.ndarray, " r"], features: Int[np.ndarray, " k"]) -> np.ndarray:
    found = side.features[rows][:, features]
    return np.asarray(found.toarray() if sp.issparse(found) else found, dtype=np.float64)
