"""Whether one feature serves an attribute on both modalities: the features that each modality picks for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block
from modalens.statistics.buckets import Buckets
from modalens.studies.sparse_probing.attributes import Attributes
from modalens.studies.sparse_probing.probes import label_correlations, strongest

RESAMPLES, PERMUTATIONS = 200, 500


@dataclass(frozen=True, eq=False)
class Alignment:
    """Share of the k features picked for each attribute that both modalities pick, with the same sign.

    Attributes
    ----------
    shared
        Of the same attribute, (K, A).
    exchanged
        Of an attribute on one side and another attribute of its column on the other, a mean over these; NaN where
        there is none.
    shuffled
        With the attributes dealt out anew among the texts' pairs, (P, K, A).
    resampled
        On resamples of the groups of pairs, (R, K, A).
    first
        The feature that each modality picks first, (2, A).
    """

    shared: Float[np.ndarray, "K A"]
    exchanged: Float[np.ndarray, "K A"]
    shuffled: Float[np.ndarray, "P K A"]
    resampled: Float[np.ndarray, "R K A"]
    first: Int[np.ndarray, "2 A"]


def alignment_of(
    sides: tuple[Block, Block],
    attributes: Attributes,
    live: Int[np.ndarray, " l"],
    numbers: Sequence[int],
    seed: int,
) -> Alignment:
    """Pick features on all pairs, by correlation with each attribute, on either side."""
    labels, keys = attributes.positive, attributes.pairs.keys
    picked = [_picked(each, labels, live, numbers[-1]) for each in sides]
    shared = np.stack([_overlap(*(each[:, :number] for each in picked)) for number in numbers])
    exchanged = np.full(shared.shape, np.nan)
    columns = np.array(attributes.columns)
    for attribute in range(len(attributes)):
        beside = np.flatnonzero((columns == columns[attribute]) & (np.arange(len(columns)) != attribute))
        if len(beside):
            own = np.repeat(picked[0][[attribute]], len(beside), axis=0)
            exchanged[:, attribute] = [
                _overlap(own[:, :number], picked[1][beside, :number]).mean() for number in numbers
            ]
    shuffled = []
    for draw in range(PERMUTATIONS):
        source = attributes.shuffled([seed, 3, draw])
        texts = _picked(sides[1], labels[:, source], live, numbers[-1])
        shuffled.append([_overlap(picked[0][:, :number], texts[:, :number]) for number in numbers])
    group = np.unique(keys, return_inverse=True)[1]
    buckets = Buckets.of(len(keys), group)
    weights, place = buckets.weights(RESAMPLES, seed), buckets.numbers(group)
    resampled = []
    for draw in range(RESAMPLES):
        again = [_picked(each, labels, live, numbers[-1], weights[place, draw]) for each in sides]
        resampled.append([_overlap(*(each[:, :number] for each in again)) for number in numbers])
    first = np.stack([each[:, 0] // 2 for each in picked])
    return Alignment(shared, exchanged, np.array(shuffled), np.array(resampled), first)


def _picked(
    x: Block,
    labels: Bool[np.ndarray, "A n"],
    live: Int[np.ndarray, " l"],
    number: int,
    weights: Float[np.ndarray, " n"] | None = None,
) -> Int[np.ndarray, "A k"]:
    """Features by correlation, two numbers each: one for those that fire for an attribute, one for its absence."""
    correlations = label_correlations(x, labels, weights)[:, live]
    places = strongest(correlations, number)
    signs = np.take_along_axis(correlations, places, axis=1) < 0
    found: np.ndarray = 2 * live[places] + signs
    return found


def _overlap(first: Int[np.ndarray, "A k"], second: Int[np.ndarray, "A k"]) -> Float[np.ndarray, " A"]:
    """Share of the features of each row that are in the other's row too."""
    found: np.ndarray = (first[:, :, None] == second[:, None, :]).any(axis=2).mean(axis=1)
    return found
