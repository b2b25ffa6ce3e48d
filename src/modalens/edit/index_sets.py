"""Which features to edit: the classes of a dominance score, and the controls every edit stands beside.

Without controls of equal size a gain could be plain feature masking, whatever the features mean.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from sklearn.feature_selection import f_classif

from modalens.arrays import Block, Matrix, iter_blocks, matrix_shape
from modalens.dominance.result import Dominance
from modalens.errors import ModalensError

CLASS, RANDOM, VARIANCE, F_SCORE = "class", "random", "variance", "f_score"


@dataclass(frozen=True, eq=False)
class IndexSet:
    """Some features, and how they were chosen.

    Attributes
    ----------
    name
        What tables print: a class (``image``), ``random 3``, ``variance``, ``f_score``.
    kind
        ``class``, or one of the controls ``random``, ``variance``, ``f_score``.
    indices
        Sorted feature indices, (k,).
    """

    name: str
    kind: str
    indices: Int[np.ndarray, " k"]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def skipped(self) -> bool:
        """Whether the set is empty, so that a study leaves its row out and says so."""
        return len(self.indices) == 0

    @property
    def note(self) -> str:
        """A sentence that says why the set is skipped; empty if it is not."""
        return f"No feature is of class {self.name}, so its row is left out." if self.skipped else ""


def class_sets(dominance: Dominance, rule: str | None = None) -> tuple[IndexSet, ...]:
    """All features of each class: image side, cross, text side. Dead features are in none.

    Parameters
    ----------
    dominance
        The scores.
    rule
        The class rule; by default the result's own.

    Returns
    -------
    tuple of IndexSet
        Always three; a class without members is an empty set, which is ``skipped``.
    """
    if rule is not None:
        dominance = dominance.with_rule(rule)
    text, cross, image, _ = dominance.classes
    return tuple(IndexSet(name, CLASS, dominance.indices(name)) for name in (image, cross, text))


def equal_sets(sets: Sequence[IndexSet], size: int | None = None, seed: int = 0) -> tuple[IndexSet, ...]:
    """The same sets sampled down to one size; empty ones stay empty.

    Parameters
    ----------
    sets
        Sets of features, such as :func:`class_sets` gives.
    size
        How many features to keep of each; by default as many as the smallest set that is not empty has.
    seed
        Seed of the sample; a set's sample does not depend on the other sets but for its size.

    Raises
    ------
    ModalensError
        If a set that is not empty has fewer features than ``size``.
    """
    full = [each for each in sets if not each.skipped]
    if size is None:
        size = min((len(each) for each in full), default=0)
    for each in full:
        if not 1 <= size <= len(each):
            raise ModalensError(
                f"Cannot take {size} of the {len(each)} features in {each.name}; "
                f"choose a size from 1 to {min(map(len, full))}."
            )
    return tuple(
        each
        if each.skipped
        else replace(
            each, indices=_sample(each.indices, size, np.random.SeedSequence([seed, *each.name.encode()]))
        )
        for each in sets
    )


def live_features(dominance: Dominance) -> Int[np.ndarray, " k"]:
    """Sorted indices of the features that are not dead: those a control may take."""
    return np.flatnonzero(~np.isnan(dominance.score))


def random_sets(
    features: Int[np.ndarray, " k"], size: int, draws: int = 20, seed: int = 0
) -> tuple[IndexSet, ...]:
    """Random sets of one size, drawn from some features without replacement within a set.

    Parameters
    ----------
    features
        The features to draw from: the live ones (:func:`live_features`).
    size, draws
        How many features in a set, and how many sets.
    seed
        Seed of the draws; the first sets stay the same when more are drawn.

    Raises
    ------
    ModalensError
        If there are fewer features than ``size``.
    """
    _check_size(size, len(features), "random")
    return tuple(
        IndexSet(
            f"random {draw + 1}", RANDOM, _sample(features, size, np.random.SeedSequence([seed, size, draw]))
        )
        for draw in range(draws)
    )


def variance_set(x: Matrix, size: int, features: Int[np.ndarray, " k"] | None = None) -> IndexSet:
    """The features with the largest variance over samples: important by a rule that sees no label.

    Parameters
    ----------
    x
        Embeddings or codes of one modality, (n, f); read in blocks.
    size
        How many.
    features
        The features to choose from; by default all.

    Raises
    ------
    ModalensError
        If there are fewer features than ``size``, or ``x`` is empty or has a NaN or infinite value.
    """
    return strongest_set(VARIANCE, feature_variance(x), size, features)


def f_score_set(
    x: Matrix, labels: Sequence[Any] | np.ndarray, size: int, features: Int[np.ndarray, " k"] | None = None
) -> IndexSet:
    """The features that tell labels apart best, one at a time: important by a rule that sees the labels.

    The score is the F statistic of a one-way analysis of variance (scikit-learn's ``f_classif``). Give training
    samples only, or the labels of the test samples leak into the choice.

    Parameters
    ----------
    x
        Embeddings or codes of one modality, (n, f): a NumPy array or a SciPy CSR matrix.
    labels
        One label per sample, at least two different ones.
    size, features
        As for :func:`variance_set`.

    Raises
    ------
    ModalensError
        If there are fewer features than ``size``, not one label for each sample, or a single label value.
    """
    return strongest_set(F_SCORE, f_scores(x, labels), size, features)


def f_scores(x: Matrix, labels: Sequence[Any] | np.ndarray) -> Float[np.ndarray, " f"]:
    """F statistic of every feature, by which :func:`f_score_set` chooses; see there."""
    rows, _ = matrix_shape(x)
    labels = np.asarray(labels)
    if len(labels) != rows:
        raise ModalensError(f"There are {len(labels)} labels for {rows} samples; give one for each sample.")
    if len(np.unique(labels)) < 2:
        raise ModalensError("All samples have one label; the F-score needs at least two different labels.")
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", UserWarning)  # a constant feature has no F-score, and comes last
        return np.asarray(f_classif(x, labels)[0])


def strongest_set(
    kind: str, score: Float[np.ndarray, " f"], size: int, features: Int[np.ndarray, " k"] | None
) -> IndexSet:
    """The features with the highest scores; of equals the first, and those without a score last.

    Parameters
    ----------
    kind
        Name and kind of the set.
    score
        One number a feature.
    size, features
        As for :func:`variance_set`.
    """
    features = np.arange(len(score)) if features is None else np.sort(features)
    _check_size(size, len(features), kind)
    order = np.argsort(-np.nan_to_num(score[features], nan=-np.inf), kind="stable")
    return IndexSet(kind, kind, np.sort(features[order[:size]]))


def feature_variance(x: Matrix) -> Float[np.ndarray, " f"]:
    """Population variance of every feature, in one pass over blocks (source: Chan et al. 1983)."""
    count = 0
    mean = np.zeros(matrix_shape(x)[1])
    squares = np.zeros_like(mean)
    for _, block in iter_blocks(x):
        rows = block.shape[0]
        of_block = np.asarray(block.mean(axis=0)).ravel()
        around = _squares_around(block, of_block)
        shift = of_block - mean
        squares += around + shift**2 * (count * rows / (count + rows))
        mean += shift * (rows / (count + rows))
        count += rows
    variance: np.ndarray = squares / count
    return variance


def _squares_around(block: Block, mean: Float[np.ndarray, " f"]) -> Float[np.ndarray, " f"]:
    """Sum of squared differences from the mean of every feature."""
    if not sp.issparse(block):
        around: np.ndarray = ((block - mean) ** 2).sum(axis=0)
        return around
    stored = np.bincount(block.indices, minlength=len(mean))
    squares: np.ndarray = np.bincount(
        block.indices, (block.data - mean[block.indices]) ** 2, minlength=len(mean)
    )
    squares += (block.shape[0] - stored) * mean**2
    return squares


def _sample(
    features: Int[np.ndarray, " k"], size: int, seed: np.random.SeedSequence
) -> Int[np.ndarray, " size"]:
    return np.sort(np.random.default_rng(seed).choice(features, size, replace=False))


def _check_size(size: int, available: int, name: str) -> None:
    if not 0 <= size <= available:
        raise ModalensError(f"Cannot choose {size} of {available} features for the set {name}; choose fewer.")
