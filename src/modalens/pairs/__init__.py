"""Where image-text pairs come from."""

from modalens.pairs.base import ImageRef, Pair, Pairs, Skipped
from modalens.pairs.sources import load_pairs

__all__ = ["ImageRef", "Pair", "Pairs", "Skipped", "load_pairs"]
