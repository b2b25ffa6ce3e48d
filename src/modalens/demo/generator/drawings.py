"""What the embedded generator learns from: the emoji's pictures with both embeddings of their pair."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from modalens.demo.splits import split_of
from modalens.pairs import load_pairs
from modalens.progress import progress_bar
from modalens.towers.base import VLM


@dataclass(frozen=True, eq=False)
class Drawings:
    """Pictures with both embeddings of their pair, a row a pair.

    Attributes
    ----------
    image, text
        Unit embeddings.
    pixels
        RGB pictures of the side that the generator draws.
    drawing
        One number a picture; exact duplicates, which OpenMoji has, share it.
    training
        Whether the pair's concept is one of training.
    source
        Where the pictures come from, with their terms.
    """

    image: Float[np.ndarray, "n d"]
    text: Float[np.ndarray, "n d"]
    pixels: UInt8[np.ndarray, "n p p 3"]
    drawing: Int[np.ndarray, " n"]
    training: Bool[np.ndarray, " n"]
    source: dict[str, Any]


def emoji_drawings(vlm: VLM, side: int) -> Drawings:
    """All OpenMoji pairs, embedded by the demo encoder and shrunk to ``side`` pixels; about 30 s."""
    pairs = load_pairs("openmoji")
    items = list(pairs)
    known = vlm.recall_images([pair.ref.key for pair in items])
    pixels = np.empty((len(items), side, side, 3), dtype=np.uint8)
    numbers: dict[bytes, int] = {}
    drawing = np.empty(len(items), dtype=np.int64)
    with progress_bar("Drawing the emoji", len(items)) as advance:
        for row, pair in enumerate(items):
            picture = pair.ref.load()
            drawing[row] = numbers.setdefault(picture.tobytes(), len(numbers))
            pixels[row] = np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))
            advance(1)
    return Drawings(
        image=np.stack([known[pair.ref.key] for pair in items]),
        text=vlm.embed_texts([pair.text for pair in items]),
        pixels=pixels,
        drawing=drawing,
        training=np.array([split_of(pair.label["concept"]) == "train" for pair in items]),
        source=pairs.card(),
    )
