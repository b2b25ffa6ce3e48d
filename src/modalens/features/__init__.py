"""Features learned on embeddings: sparse autoencoders and the non-negative contrastive projector.

Names are imported when first used, so that configurations can be read without PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "NCL": "ncl",
    "AlignedSAE": "sae",
    "BatchTopKSAE": "sae",
    "FeatureModel": "base",
    "GroupSparseSAE": "group_sparse",
    "MatryoshkaSAE": "sae",
    "NCLConfig": "config",
    "SAEConfig": "config",
    "SeparateSAE": "separate",
    "SharedTopKSAE": "shared_choice",
    "SparseAutoencoder": "sae",
    "TopKSAE": "sae",
    "TrainConfig": "settings",
    "Trained": "trainer",
    "load_features": "loading",
    "train": "trainer",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from modalens.features.base import FeatureModel as FeatureModel
    from modalens.features.config import NCLConfig as NCLConfig
    from modalens.features.config import SAEConfig as SAEConfig
    from modalens.features.group_sparse import GroupSparseSAE as GroupSparseSAE
    from modalens.features.loading import load_features as load_features
    from modalens.features.ncl import NCL as NCL
    from modalens.features.sae import AlignedSAE as AlignedSAE
    from modalens.features.sae import BatchTopKSAE as BatchTopKSAE
    from modalens.features.sae import MatryoshkaSAE as MatryoshkaSAE
    from modalens.features.sae import SparseAutoencoder as SparseAutoencoder
    from modalens.features.sae import TopKSAE as TopKSAE
    from modalens.features.separate import SeparateSAE as SeparateSAE
    from modalens.features.settings import TrainConfig as TrainConfig
    from modalens.features.shared_choice import SharedTopKSAE as SharedTopKSAE
    from modalens.features.trainer import Trained as Trained
    from modalens.features.trainer import train as train


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'modalens.features' has no attribute {name!r}")
    return getattr(import_module(f"modalens.features.{_HOMES[name]}"), name)
