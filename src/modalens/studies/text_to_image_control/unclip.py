"""Stable unCLIP: Stable Diffusion that draws from CLIP's image embedding."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from modalens.errors import ModalensError
from modalens.studies.text_to_image_control.generator import Generator, unit_embeddings
from modalens.studies.text_to_image_control.loading import load_pipeline
from modalens.towers.cards import versions

STABLE_UNCLIP = "sd2-community/stable-diffusion-2-1-unclip"


class UnclipGenerator(Generator):
    """Draws pictures from embeddings of the CLIP that the pipeline was trained with.

    Embeddings of any length are given the usual length of that CLIP's image embeddings, which the pipeline's
    normaliser knows, so that those of texts and of mixtures are no longer or shorter than it has seen.

    Parameters
    ----------
    name
        What the user called it.
    pipeline
        A ``StableUnCLIPImg2ImgPipeline`` as diffusers loads it. Its prompt stays empty: the embedding alone
        says what to draw.
    steps, guidance
        Steps of denoising, and scale of classifier-free guidance.
    origin
        What the card says about where the weights come from.

    Raises
    ------
    ModalensError
        If ``steps`` is under 1.
    """

    def __init__(
        self,
        name: str,
        pipeline: Any,
        *,
        steps: int = 20,
        guidance: float = 10.0,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        if steps < 1:
            raise ModalensError(f"unCLIP takes at least 1 step, not {steps}.")
        self.name = name
        self.dim = int(pipeline.image_encoder.config.projection_dim)
        self._pipeline, self._origin = pipeline, dict(origin or {})
        self._steps, self._guidance = steps, guidance
        normaliser = pipeline.image_normalizer
        squares = normaliser.mean.detach().double() ** 2 + normaliser.std.detach().double() ** 2
        self._length = float(squares.sum().sqrt())

    @torch.inference_mode()
    def generate(self, embedding: Float[np.ndarray, "n d"], seed: int = 0) -> list[Image.Image]:
        """Draw each row on its own (see the base class)."""
        pipeline = self._pipeline
        rows = torch.from_numpy(unit_embeddings(embedding, self.dim, self.name) * self._length)
        pictures = []
        for row in rows.to(pipeline.device, pipeline.image_encoder.dtype):
            drawn = pipeline(
                prompt="",
                image_embeds=row[None],
                num_inference_steps=self._steps,
                guidance_scale=self._guidance,
                # Noise from the CPU is the same on every device.
                generator=torch.Generator().manual_seed(seed),
            )
            pictures.append(drawn.images[0].convert("RGB"))
        return pictures

    def card(self) -> dict[str, Any]:
        """Where the weights come from, and every setting."""
        return {
            "generator": self.name,
            **self._origin,
            "class": type(self._pipeline).__name__,
            "scheduler": type(self._pipeline.scheduler).__name__,
            "dim": self.dim,
            "length": self._length,
            "steps": self._steps,
            "guidance": self._guidance,
            "dtype": str(self._pipeline.unet.dtype),
            "device": self._pipeline.device.type,
            "versions": versions("torch", "diffusers", "transformers"),
        }


def load_unclip(
    name: str = STABLE_UNCLIP,
    *,
    steps: int = 20,
    guidance: float = 10.0,
    revision: str | None = None,
    device: str | None = None,
) -> UnclipGenerator:
    """Load Stable unCLIP from the hub, or from a folder; see :class:`UnclipGenerator`.

    Raises
    ------
    ModalensError
        If a package is missing, or the pipeline cannot be fetched or read.
    """
    pipeline, origin = load_pipeline(name, "StableUnCLIPImg2ImgPipeline", revision=revision, device=device)
    return UnclipGenerator(name, pipeline, steps=steps, guidance=guidance, origin=origin)
