"""Models that images are put to."""

import base64
import io
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from modalens.arrays import normalize_rows
from modalens.errors import ModalensError
from modalens.studies.adversarial_images.config import SELF
from modalens.studies.adversarial_images.servers import ChatServer, server_named
from modalens.towers.base import VLM
from modalens.towers.compute import pick_device
from modalens.towers.hub import find_model
from modalens.towers.quiet import quiet
from modalens.towers.reading import load_weights, read_config, readable


class Victim(Protocol):
    """Answers to an image and what is said beside it."""

    name: str
    """What tables call it; one name, one model with one setting."""
    at_once: int
    """Answers that are asked for in one call; they are kept when the call is done."""

    def respond(self, image: Image.Image, prompt: str, n: int, seed: int = 0) -> list[str]:
        """``n`` answers, each drawn anew; one seed gives one list where the victim can promise it."""
        ...


class DualEncoderVictim:
    """A dual encoder that answers with captions from a vocabulary; the prompt beside the image is ignored.

    An answer is drawn from the encoder's own zero-shot distribution, the softmax of cosine / temperature.

    Parameters
    ----------
    vlm
        The encoder.
    captions
        The vocabulary.
    temperature
        0.01 is that of CLIP's training and of the demo's; 0 answers with the nearest caption always.

    Raises
    ------
    ModalensError
        If there is no caption, or the temperature is under 0.
    """

    at_once = 1000

    def __init__(self, vlm: VLM, captions: Sequence[str], temperature: float = 0.01) -> None:
        if not captions:
            raise ModalensError("A dual encoder answers with captions; give it at least one.")
        if not temperature >= 0:
            raise ModalensError(f"The temperature must not be under 0, as {temperature!r} is.")
        self._vlm = vlm
        self.captions = list(dict.fromkeys(captions))
        self._temperature = temperature
        self.name = f"{vlm.name}, {len(self.captions)} captions, temperature {temperature:g}"

    def respond(self, image: Image.Image, prompt: str, n: int, seed: int = 0) -> list[str]:
        """``n`` captions."""
        del prompt
        own, _ = normalize_rows(self._vlm.embed_images([image]).astype(np.float64))
        cosines = self._texts @ own[0]
        if self._temperature == 0:
            return [self.captions[int(cosines.argmax())]] * n
        weights = np.exp((cosines - cosines.max()) / self._temperature)
        rows = np.random.default_rng(seed).choice(len(weights), size=n, p=weights / weights.sum())
        return [self.captions[row] for row in rows]

    @cached_property
    def _texts(self) -> Float[np.ndarray, "n d"]:
        texts: np.ndarray = normalize_rows(self._vlm.embed_texts(self.captions).astype(np.float64))[0]
        return texts


class TransformersVictim:
    """LLaVA-1.5 and its kin, through transformers' image-text-to-text classes.

    Parameters
    ----------
    name
        A hub id such as ``llava-hf/llava-1.5-7b-hf``, or a folder written by ``save_pretrained``.
    device
        PyTorch's name of a device; by default the GPU if there is one, else the CPU.
    max_new_tokens
        At most so long is an answer.
    revision
        Branch, tag or commit of a hub id.

    Raises
    ------
    ModalensError
        If there is no such model, or it cannot be read.
    """

    at_once = 10

    def __init__(
        self, name: str, *, device: str | None = None, max_new_tokens: int = 64, revision: str | None = None
    ) -> None:
        chosen = pick_device(device)
        folder = find_model(name, revision, further=["chat_template*", "generation_config.json"]).path
        transformers: Any = import_module("transformers")
        known = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        if read_config(name, folder).get("model_type") not in known:
            raise ModalensError(
                f"{name} cannot be read as a model that answers to images; name one of transformers' "
                "image-text-to-text models."
            )
        with quiet():
            with readable(name, "processor", folder):
                self._processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
            model, _ = load_weights(
                name,
                transformers.AutoModelForImageTextToText,
                folder,
                dtype=torch.float32 if chosen.type == "cpu" else torch.float16,
                advice="name one of transformers' image-text-to-text models",
            )
        self._model = model.to(chosen).eval().requires_grad_(False)
        self._max_new_tokens = max_new_tokens
        self.name = f"{name}, up to {max_new_tokens} tokens"

    @torch.inference_mode()
    def respond(self, image: Image.Image, prompt: str, n: int, seed: int = 0) -> list[str]:
        """``n`` answers sampled at temperature 1."""
        inputs = self._processor(images=image, text=self._conversation(prompt), return_tensors="pt")
        inputs = inputs.to(self._model.device, self._model.dtype)
        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            tokens = self._model.generate(
                **inputs,
                do_sample=True,
                temperature=1.0,
                num_return_sequences=n,
                max_new_tokens=self._max_new_tokens,
            )
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        decoded: list[str] = self._processor.batch_decode(answers, skip_special_tokens=True)
        return [answer.strip() for answer in decoded]

    def _conversation(self, prompt: str) -> str:
        said = [{"type": "image"}, {"type": "text", "text": prompt}]
        if getattr(self._processor, "chat_template", None):
            text: str = self._processor.apply_chat_template(
                [{"role": "user", "content": said}], add_generation_prompt=True
            )
            return text
        # LLaVA-1.5's own words, for a copy without its template.
        return f"USER: {getattr(self._processor, 'image_token', '<image>')}\n{prompt} ASSISTANT:"


class ServerVictim:
    """A model behind an OpenAI-compatible server that takes images."""

    at_once = 1

    def __init__(self, server: ChatServer) -> None:
        self._server = server
        self.name = f"{server.model} at {server.url}"

    def respond(self, image: Image.Image, prompt: str, n: int, seed: int = 0) -> list[str]:
        """``n`` answers, one call each.

        Raises
        ------
        ModalensError
            If the server gives none.
        """
        picture = io.BytesIO()
        image.save(picture, "PNG")
        link = f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"
        content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": link}}]
        seeds = np.random.SeedSequence(seed).generate_state(n).tolist()
        return [self._server.ask([{"role": "user", "content": content}], seed=each) for each in seeds]


def is_server(name: str) -> bool:
    """Whether the name of a victim is that of a server."""
    return name.startswith(("http://", "https://"))


def victim_named(name: str, vlm: VLM, captions: Sequence[str]) -> Victim:
    """The victim of a name: ``self``, ``URL#MODEL`` of a server, or a model of transformers by hub id or folder.

    Parameters
    ----------
    name
        Of the victim.
    vlm, captions
        The encoder that ``self`` is, and its vocabulary.

    Raises
    ------
    ModalensError
        If there is no such victim.
    """
    if name == SELF:
        return DualEncoderVictim(vlm, captions)
    if is_server(name):
        return ServerVictim(server_named(name))
    return TransformersVictim(name)
