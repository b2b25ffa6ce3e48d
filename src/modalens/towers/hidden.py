"""Hidden states of generative vision-language models such as LLaVA."""

import logging
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from modalens.errors import InputError
from modalens.towers.abilities import Abilities
from modalens.towers.base import VLM
from modalens.towers.cards import versions
from modalens.towers.compute import full_precision, pick_device
from modalens.towers.hub import find_model
from modalens.towers.quiet import quiet
from modalens.towers.reading import load_weights, readable, weight_files
from modalens.towers.torchvision_check import check_torchvision

logger = logging.getLogger(__name__)

_ASKED = re.compile(r"(?P<model>[^?]+)(\?layer=(?P<layer>\d+))?")


class HiddenStates(VLM):
    """One layer of a language model that sees: its states, averaged over the tokens of an image or of a text.

    Images and texts go in alone, one a sequence, with nothing said beside them. Tokens that the tokenizer adds
    (the start of a sequence) are left out of the average: their states dwarf all others and are the same for
    every text.

    Parameters
    ----------
    name
        What the user called it.
    model, processor
        As transformers loads them; the model keeps only the layers that are needed.
    layer
        0 is what enters the first layer, n what the n-th gives; the last is behind the final norm.
    origin
        What the card says about where the weights come from.

    Raises
    ------
    ModalensError
        If the model has no such layer, or is built in a way that hides its layers.
    """

    projection = False

    def __init__(self, name: str, model: Any, processor: Any, layer: int, origin: Mapping[str, Any]) -> None:
        self.name = name
        self.layer = layer
        text = model.config.get_text_config()
        self.dim = int(text.hidden_size)
        self._class = type(model).__name__
        self._image_token = model.config.image_token_id
        self._context = int(text.max_position_embeddings)
        self._processor = processor
        self._processor.tokenizer.padding_side = "right"
        self._origin = dict(origin)
        self._model = _up_to(name, model, layer)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = self._model.device
        return found

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images as one batch."""
        if not images:
            return np.empty((0, self.dim), dtype=np.float32)
        inputs = self._processor(
            images=list(images),
            text=[self._processor.image_token] * len(images),
            padding=True,
            return_tensors="pt",
            # Told outright, since an image three pixels high or wide looks like one with channels there.
            input_data_format="channels_last",
        )
        return self._average(inputs, inputs["input_ids"] == self._image_token)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Embed texts as one batch; what is longer than the model's context is cut.

        Of a text without tokens of its own, an empty one, the tokens that the tokenizer adds are taken.
        """
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        inputs = self._processor.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self._context,
            return_special_tokens_mask=True,
            return_token_type_ids=False,
            return_tensors="pt",
        )
        there = inputs["attention_mask"].bool()
        own = there & ~inputs.pop("special_tokens_mask").bool()
        return self._average(inputs, torch.where(own.any(dim=1, keepdim=True), own, there))

    def card(self) -> dict[str, Any]:
        """Where the weights come from, the class, the layer, the preprocessing and the versions."""
        tokenizer = self._processor.tokenizer
        return {
            "model": self.name,
            **self._origin,
            "class": self._class,
            "layer": self.layer,
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "dim": self.dim,
            "normalised": False,
            "preprocessing": {
                "image": self._processor.image_processor.to_dict(),
                "text": {"tokenizer": type(tokenizer).__name__, "tokens": self._context},
                "pooling": "mean over an image's tokens, and over a text's without those the tokenizer adds",
            },
            "versions": versions("torch", "transformers", "pillow"),
        }

    def _average(self, inputs: Any, taken: Bool[Tensor, "n tokens"]) -> Float[np.ndarray, "n d"]:
        if not taken.any(dim=1).all():
            raise InputError(f"{self.name} makes no token of a sample, so there is no state to take.")
        device, dtype = self._model.device, self._model.dtype
        placed = {
            key: value.to(device, dtype if value.is_floating_point() else None)
            for key, value in inputs.items()
        }
        with full_precision(device):
            states = self._model(**placed, use_cache=False, return_dict=True).last_hidden_state
        weights = taken.to(device).float()
        sums: Tensor = torch.einsum("ntd,nt->nd", states.float(), weights)
        return (sums / weights.sum(dim=1, keepdim=True)).cpu().numpy()


def load_hidden(
    name: str, asked: str, *, revision: str | None, device: str | None, untrained: bool
) -> HiddenStates:
    """Load a layer of an image-text-to-text model of transformers.

    Parameters
    ----------
    name
        What the user called it.
    asked
        ``MODEL?layer=N`` with a hub id or a folder as ``save_pretrained`` writes it; without a layer, the middle
        one.
    revision, device, untrained
        As :func:`modalens.load_vlm` reads them.

    Raises
    ------
    ModalensError
        If there is no such model or layer, or it cannot be fetched or read.
    """
    match = _ASKED.fullmatch(asked)
    if match is None:
        raise InputError(
            f"{name!r} names no layer of a model; write hidden:MODEL?layer=N, such as "
            "hidden:llava-hf/llava-1.5-7b-hf?layer=16."
        )
    model = match["model"]
    check_torchvision()
    found = find_model(model, revision)
    folder = found.path
    origin = found.origin([] if untrained else weight_files(model, folder))
    if untrained:
        origin["weights"] = "random, seed 0"
    layer = None if match["layer"] is None else int(match["layer"])
    return _load(name, model, folder, layer, pick_device(device), origin, untrained)


def _load(
    name: str,
    model_name: str,
    folder: Path,
    layer: int | None,
    device: torch.device,
    origin: Mapping[str, Any],
    untrained: bool,
) -> HiddenStates:
    transformers: Any = import_module("transformers")
    with quiet():
        with readable(model_name, "processor", folder):
            processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
            # Pillow's, on every machine: torchvision's resizing gives slightly other pixels. It is asked for images
            # alone, since what some models have for videos, which nobody shows them here, knows no Pillow.
            processor.image_processor = transformers.AutoImageProcessor.from_pretrained(
                folder, backend="pil", local_files_only=True
            )
        # On a GPU as they were saved: in float32 models of this kind would need twice the memory.
        dtype = torch.float32 if device.type == "cpu" else "auto"
        if untrained:
            with readable(model_name, "config.json", folder):
                model = _random_model(transformers, folder, dtype)
        else:
            model, _ = load_weights(
                model_name,
                transformers.AutoModelForImageTextToText,
                folder,
                dtype=dtype,
                advice="name a whole one, such as llava-hf/llava-1.5-7b-hf",
            )
    if layer is None:
        layer = int(model.config.get_text_config().num_hidden_layers) // 2
    found = HiddenStates(name, model.eval().requires_grad_(False), processor, layer, origin)
    found._model.to(device)
    with readable(model_name, "output for an image"):
        found.embed_images([Image.new("RGB", (32, 32), "grey")])
    logger.info("Loaded layer %d of %s, a %s, on %s.", layer, model_name, found._class, device)
    return found


def _random_model(transformers: Any, folder: Path, dtype: Any) -> Any:
    """The model's initial state."""
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModelForImageTextToText.from_config(config, dtype=dtype)


def _up_to(name: str, model: Any, layer: int) -> Any:
    """The model without head and without what comes after a layer, so that its last state is that layer's."""
    decoder = model.get_decoder()
    if not (hasattr(decoder, "layers") and hasattr(decoder, "norm")):
        raise InputError(
            f"The layers of {name}, a {type(model).__name__}, are not where modalens looks for them; take a model "
            "built as LLaVA is, such as hidden:llava-hf/llava-1.5-7b-hf?layer=16."
        )
    layers = len(decoder.layers)
    if layer > layers:
        raise InputError(
            f"{name} asks for layer {layer} of a model with {layers}; name one from 0 to {layers}."
        )
    if layer < layers:
        decoder.layers = decoder.layers[:layer]
        decoder.norm = torch.nn.Identity()
    return model.base_model


def hidden_abilities(asked: str, revision: str | None) -> Abilities:
    """What hidden states can do; no gradients are sent through a language model."""
    del asked, revision
    return Abilities()
