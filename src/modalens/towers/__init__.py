"""Models that embed pairs."""

from modalens.demo.splits import held_out_concepts, split_of
from modalens.towers.base import VLM
from modalens.towers.registry import load_vlm

__all__ = ["VLM", "held_out_concepts", "load_vlm", "split_of"]
