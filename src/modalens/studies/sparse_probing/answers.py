"""What probes answer on held-out pairs of one modality, fold by fold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block
from modalens.studies.sparse_probing.attributes import Attributes
from modalens.studies.sparse_probing.config import DictionaryBenchConfig
from modalens.studies.sparse_probing.probes import (
    dense_probes,
    label_correlations,
    sparse_answers,
    strongest,
)
from modalens.studies.stats.heldout import Split


@dataclass(frozen=True, eq=False)
class Side:
    """One modality of the labelled pairs.

    Attributes
    ----------
    modality
        Its name.
    features
        Features (n, f), dense or CSR.
    embedding
        What they were learned on, (n, d); the features themselves where there is no way back.
    directions
        What a unit of each feature adds to the embedding, (f, d); None where ``embedding`` is the features.
    """

    modality: str
    features: Block
    embedding: Block
    directions: Float[np.ndarray, "f d"] | None


@dataclass(frozen=True, eq=False)
class Fold:
    """Probes of one fold.

    Attributes
    ----------
    train, test
        Places of its pairs.
    picks
        Features by their correlation with each attribute in training, strongest first, (A, k).
    signed
        Whether each of them fires for the attribute (and not for its absence), (A, k).
    gains
        What a unit of each feature adds to the logit of each dense probe of the embedding, (f, A).
    logits
        These probes on the test pairs, (b, A).
    """

    train: Int[np.ndarray, " a"]
    test: Int[np.ndarray, " b"]
    picks: Int[np.ndarray, "A k"]
    signed: Bool[np.ndarray, "A k"]
    gains: Float[np.ndarray, "f A"]
    logits: Float[np.ndarray, "b A"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Whether probes answer right on held-out pairs.

    Attributes
    ----------
    folds
        The probes.
    embedding, features
        By dense probes of the embedding and of all features, (A, n).
    sparse, other_side
        By the k features that are picked on this modality, and on the other one, for each k, (K, A, n).
    random
        By k random live features, (K, r, A, n).
    shuffled
        By the k features that are picked for shuffled labels, (K, r, A, n), in telling these labels.
    shuffled_labels
        The shuffled labels, (r, A, n).
    """

    folds: Sequence[Fold]
    embedding: Bool[np.ndarray, "A n"]
    features: Bool[np.ndarray, "A n"]
    sparse: Bool[np.ndarray, "K A n"]
    other_side: Bool[np.ndarray, "K A n"]
    random: Bool[np.ndarray, "K r A n"]
    shuffled: Bool[np.ndarray, "K r A n"]
    shuffled_labels: Bool[np.ndarray, "r A n"]


def answers_of(
    side: Side,
    other: Side,
    attributes: Attributes,
    splits: Sequence[Split],
    live: Int[np.ndarray, " l"],
    config: DictionaryBenchConfig,
    advance: Callable[[int], None],
) -> Answers:
    """Fit every probe on every fold and test it."""
    size, n, numbers = len(attributes), len(attributes.pairs), numbers_of(config, live)
    labels = attributes.positive
    sources = [attributes.shuffled([config.seed, 1, draw]) for draw in range(config.draws)]
    shuffled_labels = np.stack([labels[:, source] for source in sources])
    kinds, folds = 2 + 2 * config.draws, []
    right = np.zeros((len(numbers), kinds, size, n), dtype=bool)
    dense = np.zeros((2, size, n), dtype=bool)
    generator = np.random.default_rng([config.seed, 2])
    for train, test in splits:
        x_train, x_test, known = side.features[train], side.features[test], labels[:, train]
        correlations = _among(label_correlations(x_train, known), live)
        picks = strongest(correlations, numbers[-1])
        sets = [picks, _picked(other.features[train], known, live, numbers[-1])]
        sets += [
            live[np.argsort(generator.random((size, len(live))), axis=1)[:, : numbers[-1]]]
            for _ in range(config.draws)
        ]
        sets += [_picked(x_train, each[:, train], live, numbers[-1]) for each in shuffled_labels]
        told = np.concatenate([np.broadcast_to(labels, (2 + config.draws, size, n)), shuffled_labels])
        for place, number in enumerate(numbers):
            read = np.concatenate(sets)[:, :number]
            found = sparse_answers((x_train, x_test), read, told[:, :, train].reshape(-1, len(train)))
            right[place][:, :, test] = found.reshape(kinds, size, -1) == told[:, :, test]
            advance(1)
        weights, intercepts = dense_probes(x_train, known)
        of_features = np.asarray(x_test @ weights) + intercepts
        gains, logits = weights, of_features
        if side.directions is not None:
            weights, intercepts = dense_probes(side.embedding[train], known)
            gains, logits = (
                side.directions @ weights,
                np.asarray(side.embedding[test] @ weights) + intercepts,
            )
        for place, each in enumerate((logits, of_features)):
            dense[place][:, test] = (each.T > 0) == labels[:, test]
        signed = np.take_along_axis(correlations, picks, axis=1) > 0
        folds.append(Fold(train, test, picks, signed, gains, logits))
        advance(1)
    cut = 2 + config.draws
    return Answers(
        folds, dense[0], dense[1], right[:, 0], right[:, 1], right[:, 2:cut], right[:, cut:], shuffled_labels
    )


def numbers_of(config: DictionaryBenchConfig, live: Int[np.ndarray, " l"]) -> list[int]:
    """The numbers of features that there are enough live ones for; at least one."""
    return [each for each in config.k if each <= len(live)] or [len(live)]


def _picked(
    x: Block, labels: Bool[np.ndarray, "A n"], live: Int[np.ndarray, " l"], number: int
) -> Int[np.ndarray, "A k"]:
    return strongest(_among(label_correlations(x, labels), live), number)


def _among(correlations: Float[np.ndarray, "A f"], live: Int[np.ndarray, " l"]) -> Float[np.ndarray, "A f"]:
    """The same with dead features last in every ranking."""
    found = np.full_like(correlations, 0.0)
    found[:, live] = np.where(correlations[:, live] == 0, 1e-300, correlations[:, live])
    return found
