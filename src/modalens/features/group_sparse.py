"""A TopK autoencoder that is paid for using the same features on both sides of a pair.

The masked group-sparse autoencoder of Kaushik et al. 2026 (arXiv 2601.20028): one set of weights, but a pre-bias for
each modality; a mask that both sides share, drawn at random, before the TopK; and an l2,1 norm in the loss.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from modalens.features.base import LearnerLoss
from modalens.features.config import SAEConfig
from modalens.features.learners import SAELearner
from modalens.features.sae import SparseAutoencoder, Standardiser
from modalens.features.step import Codes, Selection

_MASK_STREAM = 3
_TINY = 1e-12


class GroupSparseSAE(SparseAutoencoder):
    """A TopK autoencoder trained with a group-sparse penalty on the codes of a pair (Kaushik et al. 2026)."""

    own_mean = True


class GroupSparseLearner(SAELearner):
    """Adds :func:`group_norm` of the codes to the loss, and masks a random share of the features in every batch.

    Which are masked follows from the seed and the number of batches seen.
    """

    takes_several = False
    own_bias = True
    batches_seen: Tensor

    def __init__(self, config: SAEConfig, standardiser: Standardiser | None = None) -> None:
        super().__init__(config, standardiser)
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.int64))

    def loss_of(self, *sides: Float[Tensor, "n d"]) -> LearnerLoss:
        """Loss of one batch; also counts which features fired, and the batch."""
        found = super().loss_of(*sides)
        self.batches_seen += 1
        return found

    def _penalties(self, codes: Codes, n: int) -> dict[str, Tensor]:
        return {"group": self.config.group_lambda * group_norm(codes, n, self.config.n_features)}

    def _training_selection(self) -> Selection:
        return unmasked_top_k(self.config.k, self._kept().to(self.W_enc.device))

    def _kept(self) -> Bool[Tensor, " f"]:
        """Features that this batch does not mask."""
        rng = np.random.default_rng((self.config.seed, _MASK_STREAM, int(self.batches_seen)))
        return torch.from_numpy(rng.random(self.config.n_features) >= self.config.masked)


def group_norm(codes: Codes, n: int, n_features: int) -> Float[Tensor, ""]:
    """Mean over n pairs of the sum over features of sqrt(z_image^2 + z_text^2).

    A feature that fires on both sides costs less than two that fire on one side each.
    """
    places = codes.rows() % n * n_features + codes.features
    squares = torch.zeros(n * n_features, device=places.device, dtype=codes.values.dtype)
    squares = squares.index_add(0, places, codes.values.square())
    return squares.clamp_min(_TINY).sqrt().sum() / n


def unmasked_top_k(k: int, kept: Bool[Tensor, " f"]) -> Selection:
    """Pick the k strongest of the features that are kept, or all of them if they are fewer."""
    number = min(k, int(kept.sum()))

    def select(activations: Float[Tensor, "n f"]) -> tuple[Tensor, Tensor]:
        allowed = activations.masked_fill(~kept, -1.0)  # activations are not negative
        features = torch.topk(allowed, number, dim=1, sorted=False).indices
        offsets = torch.arange(0, len(activations) * number + 1, max(number, 1), device=features.device)
        return features.reshape(-1), offsets

    return select
