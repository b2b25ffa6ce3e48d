"""Embeddings with gradients to the pixels, through the preprocessing that each tower really has."""

from functools import cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from modalens.demo.encoder import DemoVLM
from modalens.errors import ModalensError
from modalens.towers.base import VLM
from modalens.towers.compute import full_precision
from modalens.towers.frozen import IMAGE_SIDE
from modalens.towers.transformers_dual import TransformersVLM

# left, top, right, bottom, in pixels and parts of pixels.
Box = tuple[float, float, float, float]

_NO_PATCHES = ("siglip2",)


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
    """The differentiable image tower of a model.

    Raises
    ------
    ModalensError
        If there is none for this kind of model.
    """
    if isinstance(vlm, DifferentiableImages):
        return vlm
    if isinstance(vlm, DemoVLM):
        return DemoImages(vlm)
    if isinstance(vlm, TransformersVLM) and vlm.modalities[0] == "image":
        return TransformersImages(vlm)
    raise ModalensError(
        f"No gradients reach the pixels of {vlm.name}; take the demo encoder, or a CLIP, SigLIP, BLIP or ALIGN of "
        "transformers."
    )


class DemoImages:
    """The demo's image tower and head behind its resizing: shorter side to 224 pixels, centre square."""

    side = IMAGE_SIDE

    def __init__(self, vlm: DemoVLM) -> None:
        self._vlm = vlm
        self.device = vlm._device

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


class TransformersImages:
    """A dual encoder of transformers behind its image processor's resizing, cropping and normalising.

    Raises
    ------
    ModalensError
        If the processor does something that has no differentiable counterpart here.
    """

    def __init__(self, vlm: TransformersVLM) -> None:
        if vlm.model.config.model_type in _NO_PATCHES:
            raise ModalensError(
                f"{vlm.name} cuts images of any shape into patches, through which no gradients are sent here; "
                "take a CLIP or the first SigLIP."
            )
        self._vlm = vlm
        self.device: torch.device = vlm.model.device
        self._settings: dict[str, Any] = vlm.processor.to_dict()
        self.side = int(vlm.model.config.vision_config.image_size)

    def embed(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Projected and pooled, not normalised."""
        with full_precision(self.device):
            return (
                self._vlm.image_features(pixel_values=self.preprocess(pixels.to(self.device))).float().cpu()
            )

    def preprocess(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 s s"]:
        """What the image processor makes of images with values in [0, 1]."""
        settings = self._settings
        values = pixels * 255
        if settings.get("do_resize"):
            size = _resized_size(settings["size"], (int(values.shape[2]), int(values.shape[3])))
            values = resize(values, size, Image.Resampling(settings["resample"]))
        if settings.get("do_center_crop"):
            crop = settings["crop_size"]
            values = centre_crop(values, (int(crop["height"]), int(crop["width"])))
        if settings.get("do_rescale"):
            values = values * settings["rescale_factor"] - (1 if settings.get("rescale_offset") else 0)
        if settings.get("do_normalize"):
            mean, std = (
                values.new_tensor(settings[name]).view(3, 1, 1) for name in ("image_mean", "image_std")
            )
            values = (values - mean) / std
        if settings.get("include_top"):  # EfficientNet's, which divides once more
            values = values / values.new_tensor(settings["image_std"]).view(3, 1, 1)
        return values


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


def _resized_size(size: dict[str, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width that an image processor resizes to."""
    if size.get("height") and size.get("width"):
        return int(size["height"]), int(size["width"])
    shortest = size.get("shortest_edge")
    if not shortest or size.get("longest_edge"):
        raise ModalensError(
            f"The image processor resizes to {size}, which has no differentiable counterpart; take a model that "
            "resizes to a height and width or by the shortest edge."
        )
    height, width = shape
    if height <= width:
        return int(shortest), int(shortest * width / height)
    return int(shortest * height / width), int(shortest)
