"""Representations learned on embeddings: sparse autoencoders and the non-negative contrastive projector."""

from modalens.features.config import SAEConfig
from modalens.features.ncl import NCL, NCLConfig
from modalens.features.sae import AlignedSAE, BatchTopKSAE, MatryoshkaSAE, SparseAutoencoder, TopKSAE
from modalens.features.settings import TrainConfig
from modalens.features.trainer import Trained, train

__all__ = [
    "NCL",
    "AlignedSAE",
    "BatchTopKSAE",
    "MatryoshkaSAE",
    "NCLConfig",
    "SAEConfig",
    "SparseAutoencoder",
    "TopKSAE",
    "TrainConfig",
    "Trained",
    "train",
]
