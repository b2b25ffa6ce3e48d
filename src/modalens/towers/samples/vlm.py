"""One tower of a dual encoder as a sample embedder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.towers.base import VLM
from modalens.towers.samples.base import embed_in_batches


class VLMSamples:
    """The image or the text tower of a VLM.

    Parameters
    ----------
    name
        What the user called it.
    modality
        ``image`` or ``text``: which tower.
    vlm
        The model.
    """

    def __init__(self, name: str, modality: str, vlm: VLM) -> None:
        self.name = name
        self.modality = modality
        self.dim = vlm.dim
        self._vlm = vlm
        self._embed: Any = vlm.embed_images if modality == "image" else vlm.embed_texts

    def embed(self, samples: Sequence[Any]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images, or texts, into the model's shared space."""
        return embed_in_batches(self._embed, samples, self.dim)

    def card(self) -> dict[str, Any]:
        """The model's card, and which tower."""
        return {**self._vlm.card(), "model": self.name, "tower": self.modality}
