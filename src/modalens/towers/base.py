"""What a model that embeds pairs promises."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PIL import Image

if TYPE_CHECKING:
    import torch

    from modalens.towers.differentiable import DifferentiableImages


class VLM(ABC):
    """A dual encoder: images and texts into one space of ``dim`` features, on the CPU or a GPU.

    Embeddings come as the model gives them (see the card for whether that is normalised), in float32.
    """

    name: str
    """What :func:`load_vlm` was asked for."""
    dim: int
    modalities: tuple[str, str] = ("image", "text")
    """What the two sides are; whatever the first is called, ``embed_images`` embeds it."""
    projection: bool = True
    """Whether both sides come projected into one space that training aligned, so that cosines between them mean
    something; not so the hidden states of a language model."""
    tokens: bool = False
    """Whether states of single patches and words can be asked for beside one embedding a sample; no family gives
    them yet."""

    @property
    def differentiable(self) -> bool:
        """Whether gradients reach the pixels (see :func:`modalens.towers.differentiable.differentiable_images`)."""
        return False

    @property
    def device(self) -> "torch.device":
        """Where it computes."""
        import torch

        return torch.device("cpu")

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

    def differentiable_images(self) -> "DifferentiableImages":
        """The image tower with gradients to the pixels, of a model that is ``differentiable``."""
        raise NotImplementedError(f"{type(self).__name__} is not differentiable.")

    def text_projection(self) -> Float[np.ndarray, "w d"] | None:
        """The matrix that takes the text tower's last states (w) to embeddings; None where there is no such one."""
        return None

    def generator(self) -> Any | None:
        """An image generator trained on this model's embeddings, or None."""
        return None

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """What a manifest records: model, revision or weights hash, preprocessing, normalised, dim, terms.

        ``reads_writing`` is false where training showed the model no writing in images.
        """
