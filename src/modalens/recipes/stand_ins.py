"""Small things that stand in for models and data nobody has at hand, so that a recipe can be tried in a minute."""

import csv
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file
from modalens.towers.openclip import import_open_clip

_STAND_IN = re.compile(r"stand-in:([a-z]+)(\d*)")
_PAIRS = 96
_SIDE = 112
_COLOURS = {"red": (200, 30, 40), "green": (30, 150, 60), "blue": (40, 70, 200), "yellow": (230, 200, 40)}
_SHAPES = ("circle", "square", "line")
_WORDS = ("small", "big", "old", "new", "near", "far", "man", "woman")


def with_stand_ins(value: str, folder: Path) -> str:
    """Put stand-ins, made in a folder if they are not there, in the place of their names.

    Parameters
    ----------
    value
        Text with ``stand-in:pairs`` (a table of drawn shapes: becomes ``csv:FILE``), ``stand-in:image`` (a drawn
        landscape: becomes its file; ``stand-in:imageN`` the same in other colours, drawn from the seed N),
        ``stand-in:clipN`` (a CLIP of random weights, drawn from the seed N: becomes its folder) or
        ``stand-in:openclipN`` (the same of open_clip where that works, else ``stand-in:clipN``).
    folder
        Where they are made.
    """

    def put(match: re.Match[str]) -> str:
        kind, seed = match[1], int(match[2] or 0)
        if kind == "pairs":
            return f"csv:{_pairs(folder / 'pairs')}"
        if kind == "image":
            return str(_image(folder / f"image{match[2]}.png", seed))
        if kind == "openclip" and open_clip_works():
            return f"open_clip:{_open_clip(folder / f'openclip{seed}', seed)}"
        if kind in ("clip", "openclip"):
            return str(random_clip(folder / f"clip{seed}", seed))
        raise ModalensError(f"There is no stand-in {kind!r}; there are pairs, image, clip and openclip.")

    return _STAND_IN.sub(put, value)


def notes_on(values: Iterable[str]) -> list[str]:
    """What is to be known of the stand-ins that these texts name, in sentences."""
    if any("stand-in:openclip" in value for value in values) and not open_clip_works():
        return ["open_clip is not installed here, so a CLIP of transformers stands in for its models."]
    return []


@cache
def open_clip_works() -> bool:
    """Whether open_clip is installed and can be imported."""
    try:
        import_open_clip()
    except ModalensError:
        return False
    return True


def _image(path: Path, seed: int = 0) -> Path:
    """A sky over a meadow; colours are drawn from the seed, but for 0."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        colours = np.array([(120, 180, 240), (60, 140, 60)])
        if seed:
            colours = np.random.default_rng(seed).integers(0, 256, colours.shape)
        sky, meadow = (tuple(each) for each in colours.tolist())
        image = Image.new("RGB", (2 * _SIDE, 2 * _SIDE), sky)
        ImageDraw.Draw(image).rectangle((0, _SIDE, 2 * _SIDE, 2 * _SIDE), fill=meadow)
        with whole_file(path) as partial:
            image.save(partial, "PNG")
    return path


def _pairs(folder: Path) -> Path:
    """Shapes in colours with captions, a category and a gender each."""
    table = folder / "pairs.csv"
    if table.exists():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(_PAIRS):
        colour, shape = list(_COLOURS)[number % 4], _SHAPES[number % 3]
        first, second = rng.choice(_WORDS[:6], 2, replace=False)
        gender = ("man", "woman")[number // 4 % 2]
        noise = rng.integers(150, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        low, high = sorted(rng.integers(5, _SIDE - 5, 2).tolist())
        draw, box = ImageDraw.Draw(image), (low, low // 2, max(high, low + 20), max(high, low // 2 + 20))
        if shape == "circle":
            draw.ellipse(box, fill=_COLOURS[colour])
        elif shape == "square":
            draw.rectangle(box, fill=_COLOURS[colour])
        else:
            draw.line(box, fill=_COLOURS[colour], width=5)
        with whole_file(folder / f"{number}.png") as partial:
            image.save(partial, "PNG")
        caption = f"{first} {second} {colour} {shape} of a {gender}"
        rows.append((number, f"{number}.png", caption, colour, gender))
    with whole_file(table) as partial, partial.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "image", "caption", "category", "gender"), *rows])
    return table


def _open_clip(folder: Path, seed: int) -> Path:
    """A CLIP of open_clip with random weights, as open_clip saves one."""
    if (folder / "open_clip_config.json").exists():
        return folder
    import torch
    from safetensors.torch import save_file

    body = {"width": 32, "layers": 2}
    config = {
        "embed_dim": 48,
        "vision_cfg": {**body, "image_size": _SIDE, "patch_size": 16, "head_width": 16},
        "text_cfg": {**body, "context_length": 64, "vocab_size": 49408, "heads": 2},
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = import_open_clip().model.CLIP(**config)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "open_clip_model.safetensors") as partial:
        save_file(model.state_dict(), partial)
    described = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    with whole_file(folder / "open_clip_config.json") as partial:
        partial.write_text(json.dumps(described))
    return folder


def random_clip(
    folder: Path, seed: int = 0, *, width: int = 32, layers: int = 2, side: int = _SIDE, patch: int = 16
) -> Path:
    """Save a CLIP with projections and random weights that knows letters, unless it is there.

    Parameters
    ----------
    folder
        Where it is made.
    seed
        Of its weights.
    width, layers
        Of its image tower; its text tower has the same layers of width 32.
    side, patch
        Sides of an image and of a patch, in pixels.
    """
    if (folder / "preprocessor_config.json").exists() or (folder / "processor_config.json").exists():
        return folder
    import torch

    transformers: Any = import_module("transformers")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = transformers.CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[]
    )
    text = transformers.CLIPTextConfig(
        **_tower(32, layers),
        vocab_size=len(pieces),
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    vision = transformers.CLIPVisionConfig(**_tower(width, layers), image_size=side, patch_size=patch)
    config = transformers.CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=48
    )
    square = {"height": side, "width": side}
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _tower(width: int, layers: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 3 * width // 2,
        "num_hidden_layers": layers,
        "num_attention_heads": max(4, width // 64),
    }
