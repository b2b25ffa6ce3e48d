"""Sparse autoencoders of which a part stays at its random start: what training the rest alone gives.

A trained dictionary means something only where it beats these (Korznikov et al. 2026, arXiv 2602.14111).
"""

import torch
from torch import Tensor
from torch.nn import functional

from modalens.features.config import SAEConfig
from modalens.features.learners import SAELearner
from modalens.features.sae import SparseAutoencoder, Standardiser

# How near a soft-frozen row stays to where it began.
LEAST_COSINE = 0.8


class FrozenDecoderSAE(SparseAutoencoder):
    """A TopK autoencoder whose decoder rows are random directions; encoder and biases are trained."""


class FrozenEncoderSAE(SparseAutoencoder):
    """A TopK autoencoder whose encoder rows are random directions; decoder and pre-bias are trained."""


class SoftFrozenSAE(SparseAutoencoder):
    """A TopK autoencoder whose decoder rows stay within a cosine of .8 of random directions."""


class FrozenDecoderLearner(SAELearner):
    """Trains all but the decoder."""

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__(config, standardiser)
        self.W_dec.requires_grad_(False)

    def after_step(self) -> None:
        """Rows stay as they are, to the bit."""


class FrozenEncoderLearner(SAELearner):
    """Trains all but the encoder and its bias."""

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__(config, standardiser)
        self.W_enc.requires_grad_(False)
        self.b_enc.requires_grad_(False)


class SoftFrozenLearner(SAELearner):
    """Trains everything, and after each step brings back the decoder rows that went too far."""

    start: Tensor

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__(config, standardiser)
        self.register_buffer("start", self.W_dec.detach().clone())

    @torch.no_grad()
    def after_step(self) -> None:
        """Unit rows, each with a cosine of at least :data:`LEAST_COSINE` with its start."""
        super().after_step()
        along = torch.linalg.vecdot(self.W_dec, self.start).unsqueeze(1)
        across = functional.normalize(self.W_dec - along * self.start, dim=1)
        nearest = LEAST_COSINE * self.start + (1 - LEAST_COSINE**2) ** 0.5 * across
        self.W_dec.copy_(torch.where(along < LEAST_COSINE, nearest, self.W_dec))
