"""Load a dual encoder of transformers from its folder."""

import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from modalens.errors import InputError
from modalens.pairs.audio import Audio
from modalens.towers.abilities import Abilities
from modalens.towers.compute import pick_device
from modalens.towers.hub import ModelFolder
from modalens.towers.quiet import quiet
from modalens.towers.reading import load_weights, read_config, readable, weight_files
from modalens.towers.transformers_align import AlignVLM
from modalens.towers.transformers_blip import BlipVLM
from modalens.towers.transformers_clap import ClapVLM
from modalens.towers.transformers_clip import ClipVLM, Siglip2VLM, SiglipVLM
from modalens.towers.transformers_dual import TransformersVLM

logger = logging.getLogger(__name__)

_MAX_SIDE = 10_000

# By the model_type that config.json names.
FAMILIES: Mapping[str, type[TransformersVLM]] = {
    "clip": ClipVLM,
    "siglip": SiglipVLM,
    "siglip2": Siglip2VLM,
    "blip": BlipVLM,
    "align": AlignVLM,
    "clap": ClapVLM,
}


def load_transformers(
    name: str, found: ModelFolder, *, device: str | None, untrained: bool = False
) -> TransformersVLM:
    """Load a model as ``save_pretrained`` writes it.

    Parameters
    ----------
    name
        What the user called it.
    found
        Its folder.
    device, untrained
        As :func:`modalens.load_vlm` reads them.

    Raises
    ------
    ModalensError
        If the folder holds no supported model or parts of it are missing or damaged.
    """
    chosen = pick_device(device)
    transformers: Any = import_module("transformers")
    folder = found.path
    origin = found.origin([] if untrained else weight_files(name, folder))
    family = _family(name, folder)
    with quiet():
        with readable(name, f"{family.modalities[0]} processor", folder):
            processor = family.load_processor(transformers, folder)
        _require_vocabulary(name, folder)
        with readable(name, "tokenizer", folder):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if untrained:
            with readable(name, "config.json", folder):
                model = _random_model(transformers, family, folder)
            origin = {**origin, "weights": "random, seed 0"}
        else:
            model, _ = load_weights(
                name,
                getattr(transformers, family.model_class),
                folder,
                dtype=torch.float32,
                advice=f"name a whole one, such as {family.example}",
            )
    model = model.to(chosen).eval().requires_grad_(False)
    logger.info("Loaded %s, a %s, on %s.", name, family.model_class, chosen)
    vlm = family(name, model, processor, tokenizer, origin)
    _try(name, vlm, folder)
    return vlm


def _try(name: str, vlm: TransformersVLM, folder: Path) -> None:
    """Embed something, to find now what does not fit together in a folder."""
    settings = vlm.processor.to_dict()
    sizes = [settings.get(key) for key in ("size", "crop_size")]
    numbers = [value for each in sizes if isinstance(each, dict) for value in each.values()]
    if too_large := [value for value in numbers if isinstance(value, int | float) and value > _MAX_SIDE]:
        raise InputError(
            f"The image processor of {name} asks for images of {too_large[0]} pixels a side; at most {_MAX_SIDE} are "
            "made."
        )
    sample: Any = Image.new("RGB", (32, 32), "grey")
    if vlm.modalities[0] == "audio":
        sample = Audio(np.zeros(16_000), 16_000)
    with readable(name, f"output for an {vlm.modalities[0]}", folder):
        vlm.embed_images([sample])
    with readable(name, "output for a text", folder):
        vlm.embed_texts(["a"])


def transformers_abilities(name: str, folder: Path) -> Abilities:
    """What the model of a folder can do; its weights need not be there.

    Raises
    ------
    ModalensError
        If the folder describes no supported model.
    """
    transformers: Any = import_module("transformers")
    family = _family(name, folder)
    with quiet(), readable(name, f"{family.modalities[0]} processor", folder):
        processor = family.load_processor(transformers, folder)
    return Abilities(family.modalities, family.can_differentiate(processor))


def _random_model(transformers: Any, family: type[TransformersVLM], folder: Path) -> Any:
    """The model's initial state, as its makers' training started from it."""
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, family.model_class)(config).float()


def _family(name: str, folder: Path) -> type[TransformersVLM]:
    model_type = str(read_config(name, folder).get("model_type"))
    if model_type not in FAMILIES:
        raise InputError(
            f"{name} is a model of type {model_type!r}; modalens reads {', '.join(FAMILIES)} through transformers."
        )
    return FAMILIES[model_type]


def _require_vocabulary(name: str, folder: Path) -> None:
    """Without this check transformers makes a tokenizer that knows no word, and says nothing."""
    files = ("tokenizer.json", "vocab.json", "vocab.txt")
    if not any((folder / file).is_file() for file in files) and not any(folder.glob("*.model")):
        raise InputError(f"{name} has no tokenizer: neither {', '.join(files)} nor a .model file is there.")
