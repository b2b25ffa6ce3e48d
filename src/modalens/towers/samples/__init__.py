"""Models h that embed samples of one modality, to judge features by; never the one under study."""

from modalens.towers.samples.base import SampleEmbedder
from modalens.towers.samples.registry import check_sample_embedder, load_sample_embedder

__all__ = ["SampleEmbedder", "check_sample_embedder", "load_sample_embedder"]
