"""The index sets of the study: classes, their controls of equal number and of equal energy, and all features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

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
from modalens.studies.adversarial_images.tables import ALL
from modalens.studies.stats.heldout import labelled_pairs, read_pairs


@dataclass(frozen=True, eq=False)
class SetOfRuns:
    """An index set, anew in each run.

    Attributes
    ----------
    name, kind, indices
        Of the set, and its features in each run.
    energy
        Mean share of the energy of the images' features that it holds, 0 to 1.
    beside
        The class whose control of equal energy it is; empty for all other sets.
    """

    name: str
    kind: str
    indices: Sequence[Int[np.ndarray, " k"]]
    energy: float
    beside: str = ""

    @property
    def size(self) -> int:
        """Number of features; the mean over runs where it differs, rounded."""
        return round(float(np.mean([len(each) for each in self.indices])))


def index_sets(
    features: Matrix, mds: Dominance, labels: Sequence[Any] | np.ndarray | None, runs: int, seed: int
) -> tuple[list[SetOfRuns], list[str]]:
    """Classes, random and importance sets of one size, random sets of each class's energy, and all features.

    Larger classes are sampled anew in each run, and each run has random sets of its own.

    Returns
    -------
    sets, notes
        The sets, and why a class is left out.

    Raises
    ------
    ModalensError
        If all classes are empty.
    """
    classes = class_sets(mds)
    notes = [each.note for each in classes if each.skipped]
    if len(notes) == len(classes):
        raise ModalensError("No feature is of any class; score features that are alive.")
    of_runs = [equal_sets(classes, seed=seed + run) for run in range(runs)]
    size = max(len(each) for each in of_runs[0])
    live, energy = live_features(mds), feature_energy(features)
    total = max(float(energy.sum()), 1e-300)

    def of_class(
        name: str, kind: str, indices: Sequence[Int[np.ndarray, " k"]], beside: str = ""
    ) -> SetOfRuns:
        share = float(np.mean([energy[each].sum() for each in indices])) / total
        return SetOfRuns(name, kind, indices, share, beside)

    def always(each: IndexSet) -> SetOfRuns:
        return of_class(each.name, each.kind, [each.indices] * runs)

    sets = [
        of_class(each.name, each.kind, [run[number].indices for run in of_runs])
        for number, each in enumerate(of_runs[0])
        if not each.skipped
    ]
    as_energetic = [
        of_class(
            f"random, energy of {each.name}",
            EQUAL_ENERGY,
            [
                equal_energy_sets(live, energy, float(energy[chosen].sum()), 1, seed + run)[0].indices
                for run, chosen in enumerate(each.indices)
            ],
            each.name,
        )
        for each in sets
    ]
    sets.append(of_class(RANDOM, RANDOM, [each.indices for each in random_sets(live, size, runs, seed)]))
    sets += [*as_energetic, always(variance_set(features, size, live))]
    if labels is not None:
        try:
            pairs = labelled_pairs(labels, int(features.shape[0]), None, seed)
            sets.append(always(f_score_set(read_pairs(features, pairs, "image"), pairs.labels, size, live)))
        except ModalensError as error:
            notes.append(f"The features of largest F-score are left out: {error}")
    sets.append(always(IndexSet(ALL, ALL, np.arange(len(mds.score)))))
    return sets, notes
