"""Which modality drives a feature, and how far apart the modalities lie."""

from modalens.dominance.estimators import ESTIMATORS
from modalens.dominance.gap import ModalityGap, modality_gap
from modalens.dominance.gap_matrix import GapMatrix, gap_matrix
from modalens.dominance.result import Dominance, LabelSwapNull
from modalens.dominance.rules import RULES
from modalens.dominance.scores import modality_dominance
from modalens.dominance.simplex import SimplexDominance
from modalens.dominance.sums import DominanceSums

__all__ = [
    "ESTIMATORS",
    "RULES",
    "Dominance",
    "DominanceSums",
    "GapMatrix",
    "LabelSwapNull",
    "ModalityGap",
    "SimplexDominance",
    "gap_matrix",
    "modality_dominance",
    "modality_gap",
]
