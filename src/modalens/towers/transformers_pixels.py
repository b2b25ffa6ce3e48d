"""Gradients to the pixels of dual encoders of transformers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from modalens.towers.compute import full_precision
from modalens.towers.resizing import centre_crop, resize

if TYPE_CHECKING:
    from modalens.towers.transformers_dual import TransformersVLM


class TransformersImages:
    """A dual encoder of transformers behind its image processor's resizing, cropping and normalising.

    Parameters
    ----------
    vlm
        One whose processor :func:`can_differentiate`.
    """

    def __init__(self, vlm: "TransformersVLM") -> None:
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


def can_differentiate(settings: Mapping[str, Any]) -> bool:
    """Whether everything that an image processor of these settings does has a differentiable counterpart here."""
    size = settings.get("size") or {}
    if not settings.get("do_resize"):
        return True
    return bool(size.get("height") and size.get("width")) or (
        bool(size.get("shortest_edge")) and not size.get("longest_edge")
    )


def _resized_size(size: Mapping[str, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width that an image processor resizes to."""
    if size.get("height") and size.get("width"):
        return int(size["height"]), int(size["width"])
    shortest = int(size["shortest_edge"])
    height, width = shape
    if height <= width:
        return shortest, int(shortest * width / height)
    return int(shortest * height / width), shortest
