"""Where pairs come from, and what images, texts and sounds need."""

from modalens.pairs.base import ImageRef, Pair, Pairs, Skipped
from modalens.pairs.modality import Modality, find_modality
from modalens.pairs.sources import load_pairs

__all__ = ["ImageRef", "Modality", "Pair", "Pairs", "Skipped", "find_modality", "load_pairs"]
