"""Gradients to the pixels of open_clip's models, and of DeCLIP's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from modalens.towers.compute import full_precision
from modalens.towers.resizing import resize

if TYPE_CHECKING:
    from modalens.towers.openclip import OpenClipVLM

_INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class PixelSteps:
    """What torchvision's transforms make of an RGB image before a square image tower sees it.

    Attributes
    ----------
    side
        Height and width of what the tower sees.
    mean, std
        Of each colour, for values in [0, 1].
    mode
        ``shortest`` or ``longest``: that side becomes ``resized`` pixels long, the other one keeps the proportions,
        and the middle is cut out; ``squash``: both sides do.
    resized
        Pixels.
    resample
        Pillow's filter.
    fill
        Value, in [0, 255], of what is added around images that are too small.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mode: Literal["shortest", "longest", "squash"]
    resized: int
    resample: Image.Resampling
    fill: int = 0

    @classmethod
    def of_open_clip(cls, settings: Mapping[str, Any]) -> Self | None:
        """The steps of open_clip's ``PreprocessCfg``; None for a tower whose images are not square."""
        size = settings["size"]
        height, width = (size, size) if isinstance(size, int) else size
        if height != width:
            return None
        # open_clip knows two filters, and takes the cubic one for training's "random".
        resample = _INTERPOLATIONS.get(settings["interpolation"], Image.Resampling.BICUBIC)
        mean, std = (
            (value,) * 3 if isinstance(value, int | float) else tuple(value)
            for value in (settings["mean"], settings["std"])
        )
        return cls(height, mean, std, settings["resize_mode"], height, resample, settings["fill_color"])

    def __call__(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 s s"]:
        """What the transforms make of images with values in [0, 1]; with 8 bits a value, to the last bit."""
        values = pixels * 255
        values = resize(values, self._size(int(values.shape[2]), int(values.shape[3])), self.resample)
        values = _middle(values, self.side, self.fill) / 255
        mean, std = (values.new_tensor(each).view(3, 1, 1) for each in (self.mean, self.std))
        return (values - mean) / std

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that an image is resized to."""
        if self.mode == "squash":
            return self.resized, self.resized
        if self.mode == "longest":
            ratio = max(height, width) / self.resized
            return round(height / ratio), round(width / ratio)
        long = int(self.resized * max(height, width) / min(height, width))
        return (long, self.resized) if width <= height else (self.resized, long)


class OpenClipImages:
    """A model of open_clip behind the resizing, cropping and normalising that it was trained with.

    Parameters
    ----------
    vlm
        The model.
    steps
        What becomes of an image before the model sees it.
    """

    def __init__(self, vlm: "OpenClipVLM", steps: PixelSteps) -> None:
        self._vlm = vlm
        self.preprocess = steps
        self.device: torch.device = vlm.device
        self.side = steps.side

    def embed(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Projected, not normalised."""
        with full_precision(self.device):
            return self._vlm.image_features(self.preprocess(pixels.to(self.device))).float().cpu()


def _middle(values: Float[Tensor, "n c h w"], side: int, fill: int) -> Float[Tensor, "n c s s"]:
    """The middle of images, with ``fill`` around those that are smaller, as torchvision crops."""
    missing = [max(side - int(have), 0) for have in values.shape[2:]]
    # What is odd goes to the bottom and right.
    before = [each // 2 for each in missing]
    after = [each - first for each, first in zip(missing, before, strict=True)]
    values = pad(values, (before[1], after[1], before[0], after[0]), value=float(fill))
    top, left = (round((int(have) - side) / 2) for have in values.shape[2:])
    return values[:, :, top : top + side, left : left + side]
