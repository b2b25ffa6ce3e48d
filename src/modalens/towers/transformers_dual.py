"""What dual encoders of transformers have in common; each family says what is its own."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modalens.errors import InputError
from modalens.towers.base import VLM
from modalens.towers.cards import versions
from modalens.towers.compute import full_precision
from modalens.towers.transformers_pixels import TransformersImages, can_differentiate


class TransformersVLM(VLM):
    """A dual encoder of transformers; embeddings are projected and pooled, not normalised.

    A family is a subclass with the class of transformers it calls and, where they differ, its tokens, its width
    and the calls that embed.

    Parameters
    ----------
    name
        What the user called it.
    model, processor, tokenizer
        As transformers loads them; the processor is the one that :meth:`load_processor` gave.
    origin
        What the card says about where the weights come from.
    """

    model_class: ClassVar[str]
    """The class of transformers."""
    example: ClassVar[str]
    """Hub id of such a model."""
    padding: ClassVar[str] = "longest"
    """The tokenizer's, as the family was trained."""
    normalised: ClassVar[bool] = False
    """Whether embeddings come with length 1."""

    def __init__(
        self, name: str, model: Any, processor: Any, tokenizer: Any, origin: Mapping[str, Any]
    ) -> None:
        self.name = name
        self.model = model
        self.processor = processor
        self.dim = self.width(model.config)
        self._tokenizer = tokenizer
        self._origin = dict(origin)
        self._context = self.context(model.config)
        told = getattr(tokenizer, "model_max_length", None)  # absurdly large where a checkpoint does not say
        if isinstance(told, int) and told > 0:
            self._context = min(self._context, told)
        self._lower_case = self.lower_case(tokenizer)

    @property
    def differentiable(self) -> bool:
        """For images, where each step of the image processor has a differentiable counterpart."""
        return self.can_differentiate(self.processor)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = self.model.device
        return found

    def differentiable_images(self) -> TransformersImages:
        """The image tower behind its processor, with gradients to the pixels."""
        return TransformersImages(self)

    @classmethod
    def can_differentiate(cls, processor: Any) -> bool:
        """Whether gradients reach the pixels of this family behind a processor."""
        return cls.modalities[0] == "image" and can_differentiate(processor.to_dict())

    @staticmethod
    def load_processor(transformers: Any, folder: Path) -> Any:
        """What turns images into tensors."""
        # Pillow's, on every machine: torchvision's resizing gives slightly other pixels.
        return transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)

    @staticmethod
    def width(config: Any) -> int:
        """Features of the shared space."""
        return int(config.projection_dim)

    @staticmethod
    def context(config: Any) -> int:
        """Tokens of a text that are read."""
        return int(config.text_config.max_position_embeddings)

    @staticmethod
    def lower_case(tokenizer: Any) -> bool:
        """Whether the model was trained on lower-case text, which its tokenizer may not make."""
        del tokenizer
        return False

    def preprocess(self, images: Sequence[Any]) -> Any:
        """Tensors of RGB images, as the model's call takes them."""
        # Told outright, since an image three pixels high or wide looks like one with channels there.
        return self.processor(list(images), return_tensors="pt", input_data_format="channels_last")

    @abstractmethod
    def image_features(self, **inputs: Tensor) -> Float[Tensor, "n d"]:
        """The model's own embedding of preprocessed images, with gradients where they are asked for."""

    @abstractmethod
    def text_features(self, **inputs: Tensor) -> Float[Tensor, "n d"]:
        """The model's own embedding of tokens."""

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Any]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images, or what the family has in their place, as one batch."""
        if not images:
            return np.empty((0, self.dim), dtype=np.float32)
        return self._numpy(self.image_features, self.preprocess(images))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Embed texts as one batch; what is longer than the model's context is cut."""
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        inputs = self._tokenizer(
            [text.lower() for text in texts] if self._lower_case else list(texts),
            padding=self.padding,
            truncation=True,
            max_length=self._context,
            return_tensors="pt",
        )
        known = int(self.model.config.text_config.vocab_size)
        if int(inputs["input_ids"].max()) >= known:
            raise InputError(
                f"The tokenizer of {self.name} makes tokens that its weights do not know ({known} are known); take "
                "both from one model."
            )
        return self._numpy(self.text_features, inputs)

    def card(self) -> dict[str, Any]:
        """Where the weights come from, the class, the preprocessing and the versions."""
        return {
            "model": self.name,
            **self._origin,
            "class": self.model_class,
            "dim": self.dim,
            "normalised": self.normalised,
            "preprocessing": {
                self.modalities[0]: self.processor.to_dict(),
                self.modalities[1]: {
                    "tokenizer": type(self._tokenizer).__name__,
                    "tokens": self._context,
                    "padding": self.padding,
                    **({"lower_case": True} if self._lower_case else {}),
                },
            },
            "versions": versions("torch", "transformers", "pillow"),
        }

    def _numpy(self, features: Any, inputs: Any) -> Float[np.ndarray, "n d"]:
        with full_precision(self.device):
            found: Tensor = features(**{key: value.to(self.device) for key, value in inputs.items()})
        return found.float().cpu().numpy()


class TwoCallsVLM(TransformersVLM):
    """A family whose model embeds by ``get_image_features`` and ``get_text_features``."""

    def image_features(self, **inputs: Tensor) -> Float[Tensor, "n d"]:
        """What ``get_image_features`` gives."""
        return pooled(self.model.get_image_features(**inputs))

    def text_features(self, **inputs: Tensor) -> Float[Tensor, "n d"]:
        """What ``get_text_features`` gives."""
        return pooled(self.model.get_text_features(**inputs))


def pooled(output: Any) -> Tensor:
    """The embedding itself, which earlier releases of transformers gave alone."""
    found: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return found
