"""What a model that embeds samples of one modality promises."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

# What is embedded in one forward pass.
BATCH = 32


class SampleEmbedder(Protocol):
    """A model h whose cosines say how alike samples are (method: Yan et al. 2025, EmbSim and WinRate).

    Embeddings come as the model gives them, in float32; whoever takes cosines normalises them.
    """

    name: str
    """What :func:`load_sample_embedder` was asked for."""
    modality: str
    """As :class:`~modalens.pairs.modality.Modality` names it."""
    dim: int

    def embed(self, samples: Sequence[Any]) -> Float[np.ndarray, "n d"]:
        """Embed decoded samples of the modality; any number, in batches that suit the model."""
        ...

    def card(self) -> dict[str, Any]:
        """What is kept beside the embeddings: model, revision or weights hash, pooling, preprocessing, dim."""
        ...


@runtime_checkable
class CutsTexts(Protocol):
    """An embedder that counts the texts of which it read the beginning alone."""

    def cut_sentence(self, total: int) -> str | None:
        """What is to be known of texts that were cut, of so many; None where none was."""
        ...


def embed_in_batches(
    embed: Callable[[Sequence[Any]], Float[np.ndarray, "b d"]], samples: Sequence[Any], dim: int
) -> Float[np.ndarray, "n d"]:
    """Embed any number of samples with something that embeds one batch."""
    batches = [embed(samples[start : start + BATCH]) for start in range(0, len(samples), BATCH)]
    return np.concatenate([np.empty((0, dim), dtype=np.float32), *batches])
