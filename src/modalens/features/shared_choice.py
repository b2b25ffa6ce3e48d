"""A TopK autoencoder whose pairs share their features: one choice of k for both sides in training.

After the shared TopK of SPARC (Nasiri-Sarvi et al. 2025, arXiv 2507.06265), which has an encoder and a decoder for each
stream and a loss of crossed reconstructions; here there is one set of weights for all sides, and no further loss.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from modalens.features.base import LearnerLoss
from modalens.features.learners import SAELearner
from modalens.features.sae import SparseAutoencoder
from modalens.features.step import Selection


class SharedTopKSAE(SparseAutoencoder):
    """A TopK autoencoder trained with one choice of features for both sides of a pair; in use, each sample its own."""


class SharedTopKLearner(SAELearner):
    """Trains with the k features whose activations, summed over the sides of a sample, are the strongest."""

    _sides = 2

    def loss(
        self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"], *others: Float[Tensor, "n d"]
    ) -> LearnerLoss:
        """Loss of one batch; also counts which features fired."""
        self._sides = 2 + len(others)
        return super().loss(image, text, *others)

    def _training_selection(self) -> Selection:
        return shared_top_k(self.config.k, self._sides)


def shared_top_k(k: int, sides: int) -> Selection:
    """Pick the k features that are the strongest in sum over the sides of a sample; rows come side by side."""

    def select(activations: Float[Tensor, "n f"]) -> tuple[Tensor, Tensor]:
        together = activations.reshape(sides, -1, activations.shape[1]).sum(dim=0)
        features = torch.topk(together, k, dim=1, sorted=False).indices.repeat(sides, 1)
        offsets = torch.arange(0, features.numel() + 1, k, device=features.device)
        return features.reshape(-1), offsets

    return select
