"""One tower of a dual encoder as a sample embedder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.errors import InputError
from modalens.towers.base import VLM
from modalens.towers.samples.base import embed_in_batches


class VLMSamples:
    """One tower of a dual encoder.

    Parameters
    ----------
    name
        What the user called it.
    modality
        Which tower.
    vlm
        The model.

    Raises
    ------
    ModalensError
        If the model has no such tower.
    """

    def __init__(self, name: str, modality: str, vlm: VLM) -> None:
        if modality not in vlm.modalities:
            raise InputError(
                f"{vlm.name} embeds {' and '.join(vlm.modalities)}, not {modality}; name another model."
            )
        self.name = name
        self.modality = modality
        self.dim = vlm.dim
        self._vlm = vlm
        self._embed: Any = vlm.embed_images if modality == vlm.modalities[0] else vlm.embed_texts

    def embed(self, samples: Sequence[Any]) -> Float[np.ndarray, "n d"]:
        """Embed samples of the modality into the model's shared space."""
        return embed_in_batches(self._embed, samples, self.dim)

    def card(self) -> dict[str, Any]:
        """The model's card, and which tower."""
        return {**self._vlm.card(), "model": self.name, "tower": self.modality}
