"""Checkpoints of DeCLIP and of the CLIP, SLIP, FILIP and DeFILIP trained beside it.

Read into open_clip's CLIP by an exact match of keys; what the file names otherwise is renamed, and what served
only its training losses is left out (source: the released checkpoints of Sense-GVT/DeCLIP).
"""

import logging
from collections.abc import Mapping
from importlib import import_module
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from modalens.errors import InputError
from modalens.hashing import sha256_of
from modalens.towers.abilities import Abilities
from modalens.towers.compute import pick_device
from modalens.towers.openclip import OpenClipVLM, describe_tokenizer, import_open_clip
from modalens.towers.openclip_pixels import PixelSteps
from modalens.towers.reading import readable

logger = logging.getLogger(__name__)

# CLIP's vocabulary has 49,408 tokens; these checkpoints have one more, which only training used.
_VOCABULARY, _MASK_TOKEN = 49_409, 49_406
_HEAD_WIDTH = 64
_RESNET_STRIDE = 32
# Parts that serve training losses only; embeddings do not pass through them.
_LEFT_OUT = (
    "projector.",
    "predictor.",
    "text_label_predictor.",
    "logit_scale_dense",
    "image_mapping.",
    "text_mapping.",
    "visual.fc.",
)
_TEXT_PREFIXES = ("encode_text.", "text_encoder.")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Images are resized to this many times the size that is cut from their middle.
_RESIZE = 256 / 224


def load_declip(
    name: str, asked: str, *, revision: str | None, device: str | None, untrained: bool
) -> OpenClipVLM:
    """Load a checkpoint file.

    Parameters
    ----------
    name
        What the user called it.
    asked
        Path of the file.
    revision
        None: files have none.
    device, untrained
        As :func:`modalens.load_vlm` reads them.

    Raises
    ------
    ModalensError
        If open_clip is missing, or the file is missing, damaged, no such checkpoint, or without the text tower.
    """
    open_clip = import_open_clip()
    chosen = pick_device(device)
    file = _file(asked)
    if revision is not None:
        raise InputError(f"A revision was given for the file {file}, which has none; leave it out.")
    with readable(name, "checkpoint"):
        content = torch.load(file, map_location="cpu", weights_only=True)
    state = as_clip_state(name, content)
    with readable(name, "shape"):
        architecture = _architecture(state)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = open_clip.model.CLIP(**architecture, quick_gelu=True)
    if not untrained:
        _fill(name, model, state)
    model = model.to(chosen).eval().requires_grad_(False)
    tokenizer = open_clip.SimpleTokenizer(context_length=architecture["text_cfg"]["context_length"])
    size = architecture["vision_cfg"]["image_size"]
    resized = round(size * _RESIZE)
    logger.info("Loaded %s, %d features, on %s.", name, architecture["embed_dim"], chosen)
    weights = {"weights": "random, seed 0"} if untrained else {"weights_sha256": {file.name: sha256_of(file)}}
    description = {
        **weights,
        "architecture": architecture,
        "quick_gelu": True,
        "preprocessing": {
            "image": {
                "resize": resized,
                "interpolation": "bilinear",
                "crop": size,
                "mean": _MEAN,
                "std": _STD,
            },
            "text": describe_tokenizer(tokenizer),
        },
    }
    steps = PixelSteps(size, _MEAN, _STD, "shortest", resized, Image.Resampling.BILINEAR)
    return OpenClipVLM(
        name, model, _transform(resized, size), tokenizer, architecture["embed_dim"], description, steps
    )


def declip_abilities(asked: str, revision: str | None) -> Abilities:
    """What a checkpoint's model can do.

    Raises
    ------
    ModalensError
        If the file or open_clip is missing.
    """
    del revision
    _file(asked)
    import_open_clip()
    return Abilities(differentiable=True)


def _file(asked: str) -> Path:
    file = Path(asked).expanduser()
    if not file.is_file():
        raise InputError(f"There is no DeCLIP checkpoint {asked!r}; write declip:FILE with the file's path.")
    return file


def as_clip_state(name: str, content: Any) -> dict[str, Tensor]:
    """Weights under the names that open_clip's CLIP has for them, in float32.

    Parameters
    ----------
    name
        What sentences call the file.
    content
        What the file holds: a dict with the weights under ``model``.

    Raises
    ------
    ModalensError
        If that is no such dict, holds the image tower only, or has another vocabulary.
    """
    weights = content.get("model") if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{name} is no DeCLIP checkpoint: it holds no weights under the name 'model'.")
    state: dict[str, Tensor] = {}
    for key, value in weights.items():
        key = key.removeprefix("module.")
        if key.startswith(_LEFT_OUT):
            continue
        for prefix in _TEXT_PREFIXES:
            key = key.removeprefix(prefix)
        state[key] = value.float() if value.is_floating_point() else value
    if not state.keys() & {"visual.conv1.weight", "conv1.weight"}:
        raise InputError(f"{name} is no DeCLIP checkpoint: it holds no image tower.")
    embedding = state.get("token_embedding.weight")
    if embedding is None:
        raise InputError(
            f"{name} holds the image tower only, and scores need both; take the release of the same checkpoint "
            "that has the text tower."
        )
    if len(embedding) != _VOCABULARY:
        raise InputError(
            f"{name} has a vocabulary of {len(embedding)} tokens, where DeCLIP's checkpoints have {_VOCABULARY}."
        )
    state["token_embedding.weight"] = torch.cat([embedding[:_MASK_TOKEN], embedding[_MASK_TOKEN + 1 :]])
    if "logit_scale" in state:
        state["logit_scale"] = state["logit_scale"].reshape(())
    return state


def _architecture(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Sizes of both towers, all read from the weights."""
    vision: dict[str, Any]
    if "visual.proj" in state:
        patch = state["visual.conv1.weight"].shape[-1]
        embed_dim = state["visual.proj"].shape[1]
        vision = {
            "width": state["visual.conv1.weight"].shape[0],
            "layers": _count(state, "visual.transformer.resblocks."),
            "patch_size": patch,
            "image_size": patch * _side(state["visual.positional_embedding"]),
        }
    else:
        embed_dim = state["visual.attnpool.c_proj.weight"].shape[0]
        vision = {
            "width": state["visual.layer1.0.conv1.weight"].shape[0],
            "layers": [_count(state, f"visual.layer{stage}.") for stage in (1, 2, 3, 4)],
            "patch_size": None,
            "image_size": _RESNET_STRIDE * _side(state["visual.attnpool.positional_embedding"]),
        }
    width = state["ln_final.weight"].shape[0]
    text = {
        "context_length": state["positional_embedding"].shape[0],
        "vocab_size": state["token_embedding.weight"].shape[0],
        "width": width,
        "heads": width // _HEAD_WIDTH,
        "layers": _count(state, "transformer.resblocks."),
        "proj_bias": True,
    }
    return {"embed_dim": embed_dim, "vision_cfg": {**vision, "head_width": _HEAD_WIDTH}, "text_cfg": text}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Blocks numbered after a prefix."""
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})


def _side(positions: Tensor) -> int:
    """Height and width of a grid that has one position besides."""
    return isqrt(len(positions) - 1)


def _fill(name: str, model: Any, state: Mapping[str, Tensor]) -> None:
    wanted = {key: value.shape for key, value in model.state_dict().items()}
    found = {key: value.shape for key, value in state.items()}
    if wrong := sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)):
        raise InputError(
            f"{name} does not match DeCLIP's architecture in {len(wrong)} tensors, {wrong[0]} first (shape "
            f"{_shape(found, wrong[0])}, not {_shape(wanted, wrong[0])})."
        )
    model.load_state_dict(state, strict=True)


def _shape(shapes: Mapping[str, torch.Size], key: str) -> str:
    return "x".join(map(str, shapes[key])) or "of one number" if key in shapes else "none"


def _transform(resized: int, size: int) -> Any:
    """Shorter side to ``resized``, the middle of ``size``, ImageNet's mean and deviation."""
    transforms: Any = import_module("torchvision.transforms")
    return transforms.Compose(
        [
            transforms.Resize(resized, interpolation=transforms.InterpolationMode.BILINEAR),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(_MEAN, _STD),
        ]
    )
