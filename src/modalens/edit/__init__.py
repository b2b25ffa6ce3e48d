"""Edits on chosen features, and the index sets to choose: classes and their controls."""

from modalens.edit.energy_sets import equal_energy_sets, feature_energy
from modalens.edit.index_sets import (
    IndexSet,
    class_sets,
    equal_sets,
    f_score_set,
    live_features,
    random_sets,
    variance_set,
)
from modalens.edit.operations import blend, distance, zero

__all__ = [
    "IndexSet",
    "blend",
    "class_sets",
    "distance",
    "equal_energy_sets",
    "equal_sets",
    "f_score_set",
    "feature_energy",
    "live_features",
    "random_sets",
    "variance_set",
    "zero",
]
