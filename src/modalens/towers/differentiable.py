"""Embeddings with gradients to the pixels, through the preprocessing that each tower really has."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modalens.errors import InputError
from modalens.towers.base import VLM

# Which models have them, as sentences say it.
DIFFERENTIABLE = (
    "the demo encoder, a CLIP, SigLIP, BLIP or ALIGN of transformers, or a model of open_clip or DeCLIP"
)


@runtime_checkable
class DifferentiableImages(Protocol):
    """An image tower that hands gradients to the pixels."""

    side: int
    """Height and width of the square images that the tower itself sees."""
    device: torch.device
    """Where it computes."""

    def embed(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Embeddings, on the CPU, of RGB images of one size with values in [0, 1].

        Of images with 8 bits a value they are those of ``embed_images`` up to rounding.
        """
        ...


def differentiable_images(vlm: VLM) -> DifferentiableImages:
    """The differentiable image tower of a model that has one (see :attr:`modalens.towers.VLM.differentiable`).

    Raises
    ------
    InputError
        If there is none for this kind of model.
    """
    if isinstance(vlm, DifferentiableImages):
        return vlm
    if not vlm.differentiable:
        raise InputError(f"No gradients reach the pixels of {vlm.name}; take {DIFFERENTIABLE}.")
    return vlm.differentiable_images()
