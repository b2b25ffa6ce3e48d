"""What a model that embeds pairs promises."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image


class VLM(ABC):
    """A dual encoder: images and texts into one space of ``dim`` features, on the CPU or a GPU.

    Embeddings come as the model gives them (see the card for whether that is normalised), in float32.
    """

    name: str
    """What :func:`load_vlm` was asked for."""
    dim: int
    modalities: tuple[str, str] = ("image", "text")
    """What the two sides are; whatever the first is called, ``embed_images`` embeds it."""

    @abstractmethod
    def embed_images(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images as one batch."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Embed texts as one batch."""

    def recall_images(self, keys: Sequence[str]) -> dict[str, Float[np.ndarray, " d"]]:
        """Embeddings this model already knows by image key, so that the image need not be decoded."""
        del keys
        return {}

    def generator(self) -> Any | None:
        """An image generator trained on this model's embeddings, or None."""
        return None

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """What a manifest records: model, revision or weights hash, preprocessing, normalised, dim, terms."""
