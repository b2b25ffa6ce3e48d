"""Which features are moved: the classes at equal number and at equal energy, each beside its controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.arrays import Matrix
from modalens.dominance.result import Dominance
from modalens.edit import (
    IndexSet,
    class_sets,
    equal_energy_sets,
    equal_sets,
    f_score_set,
    feature_energy,
    live_features,
    random_sets,
    variance_set,
)
from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import RANDOM
from modalens.errors import ModalensError
from modalens.studies.stats.heldout import labelled_pairs, read_pairs

ALL = "all"
NUMBER, ENERGY = "number", "energy"
# A class with less of the energy would make all sets of equal energy so small that nothing moves.
_LEAST_ENERGY = 0.05
_MAX_LABELLED = 20_000


@dataclass(frozen=True, eq=False)
class MatchedSet(IndexSet):
    """A set of features with what it is matched to the other sets by.

    Attributes
    ----------
    matched
        ``number`` or ``energy``; empty for all features.
    energy
        Share of the energy of all features that the set holds, the mean over both modalities; NaN where no features
        were given.
    """

    matched: str = ""
    energy: float = np.nan

    @property
    def random(self) -> bool:
        """Whether it is a random control."""
        return self.kind in (RANDOM, EQUAL_ENERGY)


def matched_sets(
    mds: Dominance,
    draws: int,
    seed: int,
    features: tuple[Matrix, Matrix] | None = None,
    labels: Sequence[Any] | np.ndarray | None = None,
) -> tuple[list[MatchedSet], list[str]]:
    """Classes, random sets and important features of one number; classes and random sets of one energy; all features.

    Parameters
    ----------
    mds
        Scores of the features, which make the classes.
    draws, seed
        Random sets of each kind, and the seed of all draws.
    features
        Features of image and text, (n, f) each, that energy and variance (of images) are measured on. Without them
        there are no important features and no sets of equal energy.
    labels
        One label a pair, for the features of largest F-score.

    Returns
    -------
    sets
        Classes sampled down to the number of the smallest; and to the energy of the one that holds least, of those
        that hold at least 5 %.
    notes
        What is left out, and why.

    Raises
    ------
    ModalensError
        If all classes are empty.
    """
    classes = class_sets(mds)
    notes = [each.note for each in classes if each.skipped]
    used = [each for each in classes if not each.skipped]
    if not used:
        raise ModalensError("No feature is of any class; score features that are alive.")
    live = live_features(mds)
    of_number: list[IndexSet] = [each for each in equal_sets(classes, seed=seed) if not each.skipped]
    size = len(of_number[0])
    of_number += random_sets(live, size, draws, seed)
    of_energy: list[IndexSet] = []
    energy = None
    if features is None:
        notes.append(
            "No features were given, so there are no sets of equal energy and no important features."
        )
    else:
        both = np.stack([feature_energy(side) for side in features])
        energy = (both / np.maximum(both.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        important, left_out = _important(features[0], labels, size, live, seed)
        of_number += important
        of_energy, small = _of_equal_energy(used, live, energy, draws, seed)
        notes += [*left_out, *small]
    everything = IndexSet(ALL, ALL, np.arange(len(mds.score)))
    return [
        MatchedSet(
            each.name,
            each.kind,
            each.indices,
            matched,
            np.nan if energy is None else float(energy[each.indices].sum()),
        )
        for matched, sets in ((NUMBER, of_number), (ENERGY, of_energy), ("", [everything]))
        for each in sets
    ], notes


def _of_equal_energy(
    classes: Sequence[IndexSet],
    live: np.ndarray,
    energy: Float[np.ndarray, " f"],
    draws: int,
    seed: int,
) -> tuple[list[IndexSet], list[str]]:
    held = {each.name: float(energy[each.indices].sum()) for each in classes}
    used = [each for each in classes if held[each.name] >= _LEAST_ENERGY]
    notes = [
        f"The {each.name} class holds {held[each.name]:.1%} of the energy, so it has no set of equal energy."
        for each in classes
        if held[each.name] < _LEAST_ENERGY
    ]
    if not used:
        return [], notes
    target = min(held[each.name] for each in used)
    sets = [
        IndexSet(each.name, each.kind, equal_energy_sets(each.indices, energy, target, 1, seed)[0].indices)
        for each in used
    ]
    return [*sets, *equal_energy_sets(live, energy, target, draws, seed)], notes


def _important(
    image: Matrix, labels: Sequence[Any] | np.ndarray | None, size: int, live: np.ndarray, seed: int
) -> tuple[list[IndexSet], list[str]]:
    sets = [variance_set(image, size, live)]
    if labels is None:
        return sets, ["No labels were given, so the features of largest F-score are left out."]
    try:
        pairs = labelled_pairs(labels, int(image.shape[0]), None, seed, _MAX_LABELLED)
    except ModalensError as error:
        return sets, [f"The features of largest F-score are left out: {error}"]
    return [*sets, f_score_set(read_pairs(image, pairs, "image"), pairs.labels, size, live)], []
