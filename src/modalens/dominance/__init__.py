"""Which modality drives a feature, and how far apart the modalities lie."""

from modalens.dominance.estimators import ESTIMATORS
from modalens.dominance.gap import ModalityGap, modality_gap
from modalens.dominance.result import Dominance, LabelSwapNull
from modalens.dominance.rules import RULES
from modalens.dominance.scores import modality_dominance
from modalens.dominance.sums import DominanceSums

__all__ = [
    "ESTIMATORS",
    "RULES",
    "Dominance",
    "DominanceSums",
    "LabelSwapNull",
    "ModalityGap",
    "modality_dominance",
    "modality_gap",
]
