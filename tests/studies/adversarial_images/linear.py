"""A linear image tower and pictures of noise to attack it with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from modalens.studies.adversarial_images.attack import embed, square
from modalens.towers.base import VLM

SIDE, DIM = 96, 12  # room to write on


class LinearVLM(VLM):
    """A linear image tower with gradients; texts are directions in its space."""

    name = "linear"
    dim = DIM
    device = torch.device("cpu")

    def __init__(self, side: int = SIDE) -> None:
        self.side = side
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.randn(3 * side * side, DIM, generator=generator) / side

    def embed(self, pixels: Float[torch.Tensor, "n 3 h w"]) -> Float[torch.Tensor, "n d"]:
        return (pixels.flatten(1) - 0.5) @ self.weights

    def embed_images(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        return np.concatenate([embed(self, [square(image, self.side)]) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        seeds = [int.from_bytes(text.encode()[-4:], "big") for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=DIM) for seed in seeds]).astype(np.float32)

    def card(self) -> dict[str, Any]:
        return {}


def noise(n: int, seed: int = 0, side: int = SIDE) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(n)]
