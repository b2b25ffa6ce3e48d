"""Pillow's resizing and cropping of images, with gradients to their pixels."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

# left, top, right, bottom, in pixels and parts of pixels.
Box = tuple[float, float, float, float]


def resize(
    values: Float[Tensor, "n 3 h w"],
    size: tuple[int, int],
    resample: Image.Resampling,
    box: Box | None = None,
) -> Float[Tensor, "n 3 y x"]:
    """Pillow's resize of 8-bit images, with gradients.

    The values are Pillow's own, of the values rounded to 8 bits; the gradients are those of the weights that
    Pillow sums with, as if nothing had been rounded.

    Parameters
    ----------
    values
        In [0, 255].
    size
        Height and width to come; images that have it already are given back.
    resample, box
        As :meth:`PIL.Image.Image.resize` takes them.
    """
    height, width = int(values.shape[2]), int(values.shape[3])
    box = box or (0.0, 0.0, float(width), float(height))
    if size == (height, width) and box == (0, 0, width, height):
        return values
    across = _weights(width, size[1], resample, box[0], box[2]).to(values)
    down = _weights(height, size[0], resample, box[1], box[3]).to(values)
    linear = down.T @ values @ across
    bytes_of = values.detach().round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    seen = [np.array(Image.fromarray(image).resize(size[::-1], resample, box=box)) for image in bytes_of]
    return torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2).to(values) + (linear - linear.detach())


def centre_crop(values: Float[Tensor, "n c h w"], size: tuple[int, int]) -> Float[Tensor, "n c y x"]:
    """The middle of images, with zeros around those that are smaller, as transformers crops."""
    height, width = int(values.shape[2]), int(values.shape[3])
    pad = [max(want - have, 0) for want, have in zip(size, (height, width), strict=True)]
    # What is odd goes to the top and left.
    before = [(each + 1) // 2 for each in pad]
    values = torch.nn.functional.pad(values, (before[1], pad[1] - before[1], before[0], pad[0] - before[0]))
    top, left = (max(have - want, 0) // 2 for want, have in zip(size, (height, width), strict=True))
    return values[:, :, top : top + size[0], left : left + size[1]]


@cache
def _weights(
    length: int, wanted: int, resample: Image.Resampling, start: float, stop: float
) -> Float[Tensor, "length wanted"]:
    """What each old pixel of a row gives to each new one: read off Pillow, which resizes one bright pixel a row."""
    bright = Image.fromarray(np.eye(length, dtype=np.float32))
    return torch.from_numpy(np.array(bright.resize((wanted, length), resample, box=(start, 0, stop, length))))
