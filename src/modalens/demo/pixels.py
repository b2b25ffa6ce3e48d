"""Gradients to the pixels of the demo encoder."""

from typing import TYPE_CHECKING

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from modalens.demo.frozen import IMAGE_SIDE
from modalens.towers.compute import full_precision
from modalens.towers.resizing import resize

if TYPE_CHECKING:
    from modalens.demo.encoder import DemoVLM


class DemoImages:
    """The demo's image tower and head behind its resizing: shorter side to 224 pixels, centre square."""

    side = IMAGE_SIDE

    def __init__(self, vlm: "DemoVLM") -> None:
        self._vlm = vlm
        self.device = vlm.device

    def embed(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Unit vectors."""
        height, width = pixels.shape[2:]
        square = min(height, width)
        left, top = (width - square) / 2, (height - square) / 2
        resized = resize(
            pixels * 255,
            (self.side, self.side),
            Image.Resampling.BICUBIC,
            (left, top, left + square, top + square),
        )
        with full_precision(self.device):
            return self._vlm.encode_pixels((resized - 127) / 128)
