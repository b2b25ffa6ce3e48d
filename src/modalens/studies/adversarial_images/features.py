"""From embeddings to the features of a representation, with gradients."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from modalens.features.ncl import NCL
from modalens.features.sae import SparseAutoencoder
from modalens.studies.adversarial_images.attack import Encode


def differentiable_features(model: SparseAutoencoder | NCL | None) -> Encode | None:
    """What ``model.encode`` computes of image embeddings, as a dense function that hands gradients on.

    Only features that fire have a gradient. None, for the embeddings themselves, stays None.
    """
    if model is None:
        return None
    if isinstance(model, NCL):
        projector = model._projector
        return lambda embedded: projector(embedded)
    mean, scale = model._standardiser("image")

    def encode(embedded: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        centred = (embedded - mean) / scale - model.b_pre
        activations = functional.relu(functional.linear(centred, model.W_enc, model.b_enc))
        features, offsets = model._select(activations.detach())
        rows = torch.repeat_interleave(torch.arange(len(activations)), offsets.diff())
        chosen = torch.zeros_like(activations, dtype=torch.bool)
        chosen[rows, features] = True
        return activations * chosen

    return encode
