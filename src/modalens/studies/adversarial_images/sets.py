"""The index sets of the study: classes, their controls, and all features."""

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
    equal_sets,
    f_score_set,
    live_features,
    random_sets,
    variance_set,
)
from modalens.edit.index_sets import RANDOM
from modalens.errors import ModalensError
from modalens.studies.adversarial_images.tables import ALL


@dataclass(frozen=True, eq=False)
class SetOfRuns:
    """An index set, anew in each run."""

    name: str
    kind: str
    indices: Sequence[Int[np.ndarray, " k"]]

    @property
    def size(self) -> int:
        """Number of features, the same in each run."""
        return len(self.indices[0])


def index_sets(
    features: Matrix, mds: Dominance, labels: Sequence[Any] | np.ndarray | None, runs: int, seed: int
) -> tuple[list[SetOfRuns], list[str]]:
    """Classes, random and importance sets of one size, and all features; and why a class is left out.

    Larger classes are sampled anew in each run, and each run has a random set of its own.

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
    live = live_features(mds)
    importance = [variance_set(features, size, live)]
    if labels is not None:
        importance.append(f_score_set(features, labels, size, live))
    randoms = random_sets(live, size, runs, seed)
    sets = [
        SetOfRuns(each.name, each.kind, [run[number].indices for run in of_runs])
        for number, each in enumerate(of_runs[0])
        if not each.skipped
    ]
    sets.append(SetOfRuns(RANDOM, RANDOM, [each.indices for each in randoms]))
    sets += [_always(each, runs) for each in importance]
    sets.append(_always(IndexSet(ALL, ALL, np.arange(len(mds.score))), runs))
    return sets, notes


def _always(each: IndexSet, runs: int) -> SetOfRuns:
    return SetOfRuns(each.name, each.kind, [each.indices] * runs)
