"""Vision models of transformers as sample embedders."""

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from modalens.errors import InputError
from modalens.towers.cards import versions
from modalens.towers.compute import full_precision, pick_device
from modalens.towers.hub import find_model
from modalens.towers.quiet import quiet
from modalens.towers.reading import load_weights, readable, weight_files
from modalens.towers.samples.base import embed_in_batches
from modalens.towers.torchvision_check import check_torchvision

logger = logging.getLogger(__name__)

POOLER, FIRST_TOKEN, MEAN = "pooler output", "first token of the last layer", "mean of the last layer"


class TransformersImages:
    """A vision model of transformers; one vector an image, not normalised.

    The vector is the pooler's output where the model has one with trained weights, as the ViT trained on
    ImageNet-21k does. A classifier's checkpoint often lacks those weights, and transformers then makes them
    up: there the class token of the last layer is taken, or its mean in models without a class token.

    Parameters
    ----------
    name
        What the user called it.
    model, image_processor
        As transformers loads them.
    trained_pooler
        Whether the model's pooler, if it has one, came with the weights.
    origin
        What the card says about where the weights come from.
    """

    modality = "image"

    def __init__(
        self,
        name: str,
        model: Any,
        image_processor: Any,
        origin: Mapping[str, Any],
        *,
        trained_pooler: bool = True,
    ) -> None:
        self.name = name
        self._model = model
        self._image_processor = image_processor
        self._origin = dict(origin)
        probe = self._forward([Image.new("RGB", (32, 32), "grey")])
        self._pooling = _choose_pooling(model, probe, trained_pooler)
        self.dim = int(_pool(probe, self._pooling).shape[1])

    def embed(self, samples: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images."""

        def one_batch(images: Sequence[Image.Image]) -> Float[np.ndarray, "b d"]:
            return _pool(self._forward(images), self._pooling).float().cpu().numpy()

        return embed_in_batches(one_batch, samples, self.dim)

    def card(self) -> dict[str, Any]:
        """Where the weights come from, the class, the pooling, the preprocessing and the versions."""
        return {
            "model": self.name,
            **self._origin,
            "class": type(self._model).__name__,
            "dim": self.dim,
            "pooling": self._pooling,
            "normalised": False,
            "preprocessing": self._image_processor.to_dict(),
            "versions": versions("torch", "transformers", "pillow"),
        }

    @torch.inference_mode()
    def _forward(self, images: Sequence[Image.Image]) -> Any:
        # Told outright, since an image three pixels high or wide looks like one with channels there.
        inputs = self._image_processor(list(images), return_tensors="pt", input_data_format="channels_last")
        with full_precision(self._model.device):
            return self._model(**inputs.to(self._model.device))


def load(name: str, *, device: str | None, revision: str | None, unknown: str) -> TransformersImages:
    """Load a vision model by its folder or hub id.

    Parameters
    ----------
    name, device, revision
        As :func:`modalens.towers.samples.load_sample_embedder` reads them.
    unknown
        The sentence for a name that is neither a path nor a hub id.

    Raises
    ------
    ModalensError
        If there is no such model, it cannot be fetched, it is no vision model, or parts are missing or damaged.
    """
    check_torchvision()
    found = find_model(name, revision, unknown=unknown)
    folder = found.path
    origin = found.origin(weight_files(name, folder))
    chosen = pick_device(device)
    transformers: Any = import_module("transformers")
    with quiet():
        model, missing = load_weights(
            name,
            transformers.AutoModel,
            folder,
            dtype=torch.float32,
            advice="save the whole model again",
            optional=["pooler."],
        )
        if model.main_input_name != "pixel_values":
            raise InputError(
                f"{name} is a {type(model).__name__}, which does not embed images alone; name a vision model, or "
                f"vlm:{name} if it embeds images and texts."
            )
        with readable(name, "image processor", folder):
            # Pillow's, on every machine: torchvision's resizing gives slightly other pixels.
            image_processor = transformers.AutoImageProcessor.from_pretrained(
                folder, backend="pil", local_files_only=True
            )
    model = model.to(chosen).eval().requires_grad_(False)
    with readable(name, "output for an image"):
        embedder = TransformersImages(name, model, image_processor, origin, trained_pooler=not missing)
    logger.info("Loaded %s, a %s, on %s.", name, type(model).__name__, chosen)
    return embedder


def _choose_pooling(model: Any, output: Any, trained_pooler: bool) -> str:
    if trained_pooler and getattr(output, "pooler_output", None) is not None:
        return POOLER
    has_class_token = any(name.split(".")[-1] == "cls_token" for name, _ in model.named_parameters())
    return FIRST_TOKEN if has_class_token else MEAN


def _pool(output: Any, pooling: str) -> Float[Tensor, "n d"]:
    if pooling == POOLER:
        pooled: Tensor = output.pooler_output
        return pooled.flatten(1)
    last: Tensor = output.last_hidden_state
    if pooling == FIRST_TOKEN:
        return last[:, 0]
    return last.mean(dim=1) if last.ndim == 3 else last.mean(dim=(2, 3))
