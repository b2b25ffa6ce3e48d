"""Models that embed pairs."""

from modalens.towers.base import VLM
from modalens.towers.registry import load_vlm

__all__ = ["VLM", "load_vlm"]
