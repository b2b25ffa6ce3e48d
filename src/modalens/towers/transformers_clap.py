"""CLAP through transformers: sound where others have images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modalens.pairs.audio import Audio
from modalens.towers.transformers_dual import TwoCallsVLM, pooled


class ClapVLM(TwoCallsVLM):
    """CLAP: ``embed_images`` takes sounds, :class:`modalens.pairs.audio.Audio`; embeddings have length 1.

    Sounds longer than the model's ten seconds are cut at a place that upstream draws at random; here one sound is
    always cut at one place, and no sound depends on what else is in its batch.
    """

    model_class = "ClapModel"
    example = "laion/clap-htsat-unfused"
    modalities = ("audio", "text")
    normalised = True

    @staticmethod
    def load_processor(transformers: Any, folder: Path) -> Any:
        """What turns sound into mel spectrograms."""
        return transformers.ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)

    @staticmethod
    def context(config: Any) -> int:
        """CLAP was trained on 77 tokens, fewer than its text tower has places for."""
        text = config.text_config
        # RoBERTa's places start behind the number of its padding.
        return min(77, int(text.max_position_embeddings) - int(text.pad_token_id) - 1)

    def preprocess(self, images: Sequence[Audio]) -> dict[str, Tensor]:
        """Mel spectrograms of sounds, resampled where their rate is another than the model's."""
        extractor = self.processor
        waves = [each.resampled(extractor.sampling_rate).samples for each in images]
        features = [self._spectrogram(wave) for wave in waves]
        # Where no sound of a batch is long, upstream calls one of them so, at random. Long is what has more
        # frames than the model sees.
        longest = extractor.nb_max_samples // extractor.hop_length
        longer = [[len(wave) // extractor.hop_length > longest] for wave in waves]
        return {"input_features": torch.cat(features), "is_longer": torch.tensor(longer)}

    def _spectrogram(self, wave: Float[np.ndarray, " t"]) -> Float[Tensor, "1 c t m"]:
        with _drawing_anew():
            found = self.processor(wave, sampling_rate=self.processor.sampling_rate, return_tensors="pt")
        features: Tensor = found["input_features"].float()
        return features

    def image_features(self, **inputs: Tensor) -> Float[Tensor, "n d"]:
        """What ``get_audio_features`` gives."""
        return pooled(self.model.get_audio_features(**inputs))

    def card(self) -> dict[str, Any]:
        """What any card says, and what the two sides are."""
        return {**super().card(), "modalities": list(self.modalities)}


@contextmanager
def _drawing_anew() -> Iterator[None]:
    """Start NumPy's global generator, from which upstream draws, at one state; leave it as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
