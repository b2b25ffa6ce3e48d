"""Targeted perturbation: what the features of one attribute cost its probe, and what the probes of others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block
from modalens.edit import equal_energy_sets, feature_energy
from modalens.studies.sparse_probing.answers import Fold, Side
from modalens.studies.sparse_probing.attributes import Attributes

_MOST_NUMBERS = 2**22


@dataclass(frozen=True, eq=False)
class Removal:
    """What is lost on each pair without k features of each attribute, and without random ones of equal energy.

    Attributes
    ----------
    removed
        Number of removed features, a mean over folds, (K, A).
    energy
        Share of the modality's energy that they hold, (K, A).
    own, others
        What the attribute's probe loses on each pair, and the mean over other attributes', in right answers weighed
        such that their mean over pairs is what balanced accuracy loses, (K, A, n). NaN without other attributes.
    random
        Own less others of random sets, (K, A, r, n); own alone without other attributes.
    """

    removed: Float[np.ndarray, "K A"]
    energy: Float[np.ndarray, "K A"]
    own: Float[np.ndarray, "K A n"]
    others: Float[np.ndarray, "K A n"]
    random: Float[np.ndarray, "K A r n"]


def removal_of(
    side: Side,
    attributes: Attributes,
    folds: Sequence[Fold],
    live: Int[np.ndarray, " l"],
    numbers: Sequence[int],
    draws: int,
    seed: int,
) -> Removal:
    """Set features to their training mean and ask the dense probes again.

    The features of an attribute are those that add most to its probe's logit where it is there: the difference between
    the means of pairs with and without it, times what a unit of the feature adds to the logit (targeted probe
    perturbation of SAEBench). Features that are never negative must fire more with the attribute than without it, since
    those that fire less are other attributes'.
    """
    size, n = attributes.positive.shape
    energy = feature_energy(side.features)
    total = max(float(energy.sum()), 1e-300)
    removed, share = np.zeros((2, len(numbers), size))
    lost = np.zeros((len(numbers), size, 1 + draws, 2, n), dtype=np.float32)
    owner = np.tile(np.repeat(np.arange(size), 1 + draws), len(numbers))
    for fold in folds:
        x = side.features[fold.train]
        mean, effect = _effects(x, attributes.positive[:, fold.train], fold.gains)
        sets: list[np.ndarray] = []
        for place, number in enumerate(numbers):
            for attribute in range(size):
                best = live[np.argsort(-effect[attribute, live], kind="stable")[:number]]
                own = best[effect[attribute, best] > 0]
                removed[place, attribute] += len(own) / len(folds)
                share[place, attribute] += energy[own].sum() / total / len(folds)
                beside = equal_energy_sets(
                    live, energy, float(energy[own].sum()), draws if len(own) else 0, seed + attribute
                )
                sets += [own, *(each.indices for each in beside), *[own] * (0 if len(own) else draws)]
        for rows, part in _lost(side.features, fold, mean, sets, owner, attributes):
            lost[..., rows] = part.reshape(len(numbers), size, 1 + draws, 2, -1)
    own, others = lost[:, :, 0, 0], lost[:, :, 0, 1]
    there = np.array([len(attributes.others(place)) > 0 for place in range(size)])[:, None, None]
    random = lost[:, :, 1:, 0] - np.where(there, lost[:, :, 1:, 1], 0)
    return Removal(removed, share, own, np.where(there[:, 0], others, np.nan), random)


def _effects(
    x: Block, labels: np.ndarray, gains: Float[np.ndarray, "f A"]
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, "A f"]]:
    """Training means, and what each feature adds to each probe's logit where the attribute is there."""
    y = labels.astype(np.float64)
    having = np.asarray(x.T @ y.T) / np.maximum(y.sum(axis=1), 1)
    lacking = np.asarray(x.T @ (1 - y).T) / np.maximum((1 - y).sum(axis=1), 1)
    more = having - lacking
    if x.min() >= 0:
        more = np.maximum(more, 0)
    return np.asarray(x.mean(axis=0)).ravel(), (more * gains).T


def _lost(
    features: Block,
    fold: Fold,
    mean: Float[np.ndarray, " f"],
    sets: Sequence[Int[np.ndarray, " k"]],
    owner: Int[np.ndarray, " s"],
    attributes: Attributes,
) -> Iterator[tuple[Int[np.ndarray, " b"], Float[np.ndarray, "s 2 b"]]]:
    """What every set costs the probe of the attribute that it is for and those of others, some test pairs at a time."""
    members = sp.csr_array(
        (
            np.ones(sum(map(len, sets))),
            np.concatenate([*sets, np.arange(0)]).astype(np.int64),
            np.cumsum([0, *map(len, sets)]),
        ),
        shape=(len(sets), len(mean)),
    )
    size, weights = len(attributes), attributes.weights
    share = np.zeros((size, size))
    for place in range(size):
        beside = attributes.others(place)
        share[place, beside] = 1 / max(len(beside), 1)
    step = max(1, _MOST_NUMBERS // max(len(mean), len(sets)))
    for start in range(0, len(fold.test), step):
        rows = fold.test[start : start + step]
        block = features[rows]
        change = (block.toarray() if sp.issparse(block) else block) - mean
        found = np.zeros((len(sets), 2, len(rows)))
        for attribute in range(size):
            before = fold.logits[start : start + step, attribute]
            after = before - members @ (change * fold.gains[:, attribute]).T
            there = attributes.positive[attribute, rows]
            right = ((before > 0) == there).astype(np.float64) - ((after > 0) == there)
            right *= weights[attribute, rows]
            found[owner == attribute, 0] = right[owner == attribute]
            found[:, 1] += share[owner, attribute][:, None] * right
        yield rows, found
