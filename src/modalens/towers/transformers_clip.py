"""CLIP and its kin through transformers, from the hub or a local folder."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from modalens.errors import ModalensError
from modalens.towers.base import VLM
from modalens.towers.cards import files_sha256, versions
from modalens.towers.compute import full_precision, pick_device
from modalens.towers.hub import fetch
from modalens.towers.quiet import quiet_transformers
from modalens.towers.torchvision_check import check_torchvision

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Family:
    """A model class of transformers, and how it was trained to read texts.

    ``padding`` is the tokenizer's: CLIP masks what it pads, SigLIP always saw texts of full length.
    """

    model_class: str
    padding: str


FAMILIES: Mapping[str, Family] = {
    "clip": Family("CLIPModel", "longest"),
    "siglip": Family("SiglipModel", "max_length"),
    "siglip2": Family("Siglip2Model", "max_length"),
}


class TransformersVLM(VLM):
    """A dual encoder of transformers; embeddings are projected and pooled, not normalised.

    Parameters
    ----------
    name
        What the user called it.
    model, image_processor, tokenizer
        As transformers loads them.
    family
        How to call them.
    origin
        What the card says about where the weights come from.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        image_processor: Any,
        tokenizer: Any,
        family: Family,
        origin: Mapping[str, Any],
    ) -> None:
        self.name = name
        self._model = model
        self._image_processor = image_processor
        self._tokenizer = tokenizer
        self._family = family
        self._origin = dict(origin)
        config = model.config
        # CLIP projects to a size of its own; SigLIP's images stay as wide as their tower.
        self.dim = int(getattr(config, "projection_dim", None) or config.vision_config.hidden_size)
        self._context = int(config.text_config.max_position_embeddings)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> Float[np.ndarray, "n d"]:
        """Embed RGB images as one batch."""
        if not images:
            return np.empty((0, self.dim), dtype=np.float32)
        # Told outright, since an image three pixels high or wide looks like one with channels there.
        inputs = self._image_processor(list(images), return_tensors="pt", input_data_format="channels_last")
        return self._numpy(self._model.get_image_features, inputs)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Embed texts as one batch; what is longer than the model's context is cut."""
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        inputs = self._tokenizer(
            list(texts),
            padding=self._family.padding,
            truncation=True,
            max_length=self._context,
            return_tensors="pt",
        )
        return self._numpy(self._model.get_text_features, inputs)

    def card(self) -> dict[str, Any]:
        """Where the weights come from, the class, the preprocessing and the versions."""
        return {
            "model": self.name,
            **self._origin,
            "class": self._family.model_class,
            "dim": self.dim,
            "normalised": False,
            "preprocessing": {
                "image": self._image_processor.to_dict(),
                "text": {
                    "tokenizer": type(self._tokenizer).__name__,
                    "tokens": self._context,
                    "padding": self._family.padding,
                },
            },
            "versions": versions("torch", "transformers", "pillow"),
        }

    def _numpy(self, features: Any, inputs: Any) -> Float[np.ndarray, "n d"]:
        with full_precision(self._model.device):
            output = features(**inputs.to(self._model.device))
        pooled: Tensor = output if isinstance(output, Tensor) else output.pooler_output
        return pooled.float().cpu().numpy()


def load_hub(
    name: str, hub_id: str, *, revision: str | None, device: str | None, untrained: bool = False
) -> TransformersVLM:
    """Load a model from the hub, or from its local copy of an earlier download.

    Raises
    ------
    ModalensError
        If it cannot be fetched or is no supported model.
    """
    check_torchvision()
    folder = fetch(hub_id, revision)
    # The hub's cache names the folder of a snapshot after its commit.
    return _load(name, folder, device, {"revision": folder.name}, untrained)


def load_folder(name: str, folder: Path, *, device: str | None, untrained: bool = False) -> TransformersVLM:
    """Load a model from a folder written by ``save_pretrained``, without any network.

    Raises
    ------
    ModalensError
        If the folder holds no supported model or parts of it are missing or damaged.
    """
    check_torchvision()
    origin = {} if untrained else {"weights_sha256": files_sha256(_weights(name, folder))}
    return _load(name, folder, device, origin, untrained)


def _load(
    name: str, folder: Path, device: str | None, origin: Mapping[str, Any], untrained: bool
) -> TransformersVLM:
    chosen = pick_device(device)
    transformers: Any = import_module("transformers")
    family = _family(name, folder)
    with quiet_transformers():
        with _readable(name, "image processor"):
            # Pillow's, on every machine: torchvision's resizing gives slightly other pixels.
            image_processor = transformers.AutoImageProcessor.from_pretrained(
                folder, backend="pil", local_files_only=True
            )
        _require_vocabulary(name, folder)
        with _readable(name, "tokenizer"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with _readable(name, "weights"):
            if untrained:
                model, origin = (
                    _random_model(transformers, family, folder),
                    {**origin, "weights": "random, seed 0"},
                )
            else:
                model = _trained_model(transformers, name, family, folder)
    model = model.to(chosen).eval().requires_grad_(False)
    logger.info("Loaded %s, a %s, on %s.", name, family.model_class, chosen)
    return TransformersVLM(name, model, image_processor, tokenizer, family, origin)


def _trained_model(transformers: Any, name: str, family: Family, folder: Path) -> Any:
    weights = _weights(name, folder)
    model, report = getattr(transformers, family.model_class).from_pretrained(
        folder,
        dtype=torch.float32,
        use_safetensors=weights[0].suffix == ".safetensors",
        weights_only=True,
        local_files_only=True,
        output_loading_info=True,
    )
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModalensError(
            f"The weights of {name} lack {len(missing)} tensors that a {family.model_class} has, {missing[0]} first; "
            "save the whole model again."
        )
    return model


def _random_model(transformers: Any, family: Family, folder: Path) -> Any:
    """The model's initial state, as its makers' training started from it."""
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, family.model_class)(config).float()


def _family(name: str, folder: Path) -> Family:
    if not (folder / "config.json").is_file():
        raise ModalensError(f"{name} has no config.json, so it is no model of transformers.")
    with _readable(name, "config.json"):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model_type = str(config["model_type"])
    if model_type not in FAMILIES:
        raise ModalensError(
            f"{name} is a model of type {model_type!r}; modalens reads {', '.join(FAMILIES)} through transformers."
        )
    return FAMILIES[model_type]


def _weights(name: str, folder: Path) -> list[Path]:
    """Files of the weights: safetensors, or else the older format, which is read without pickled code."""
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise ModalensError(f"{name} has no weights: neither model.safetensors nor pytorch_model.bin is there.")


def _require_vocabulary(name: str, folder: Path) -> None:
    """Without this check transformers makes a tokenizer that knows no word, and says nothing."""
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")) and not any(
        folder.glob("*.model")
    ):
        raise ModalensError(
            f"{name} has no tokenizer: neither tokenizer.json, vocab.json nor a .model file is there."
        )


@contextmanager
def _readable(name: str, part: str) -> Iterator[None]:
    """Turn whatever a damaged file makes transformers raise into one sentence."""
    try:
        yield
    except ImportError as error:
        raise ModalensError(
            f"The {part} of {name} needs a package that is missing (SigLIP's tokenizer: pip install sentencepiece "
            f"protobuf): {' '.join(str(error).split())[:200]}"
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise ModalensError(f"The {part} of {name} cannot be read ({reason}).") from error
