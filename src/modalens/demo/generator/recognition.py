"""How good a generator is: whether the picture drawn from an emoji's embedding shows that emoji."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from modalens.demo.generator.drawings import Drawings
from modalens.demo.generator.embedded import enlarge
from modalens.studies.text_to_image_control.generator import Generator
from modalens.towers.base import VLM

RANKS = (1, 5, 10)
SAMPLE = 200


def ranks_of_own(
    embedded: Float[np.ndarray, "q d"],
    rows: Int[np.ndarray, " q"],
    gallery: Float[np.ndarray, "n d"],
    drawing: Int[np.ndarray, " n"],
) -> Int[np.ndarray, " q"]:
    """Rank of an emoji's own drawing among all, by the cosine of unit embeddings; 1 is best.

    Parameters
    ----------
    embedded
        Embeddings of the pictures that a generator drew.
    rows
        Which emoji of the gallery each was to show.
    gallery
        Embeddings of all emoji.
    drawing
        Number of each emoji's drawing; an emoji with the same drawing is as right as the emoji itself, and
        counts neither for nor against.

    Notes
    -----
    A wrong emoji that ties with the right one stands before it, so constant pictures are never right.
    """
    similar = embedded @ gallery.T
    right = drawing[rows][:, None] == drawing[None, :]
    best = np.where(right, similar, -np.inf).max(axis=1, keepdims=True)
    ranks: np.ndarray = 1 + ((similar >= best) & ~right).sum(axis=1)
    return ranks


def measure_recognition(
    generator: Generator, vlm: VLM, drawings: Drawings, *, n: int = SAMPLE, seed: int = 0
) -> dict[str, Any]:
    """Share of emoji that the encoder recognises in their generated pictures.

    Parameters
    ----------
    generator
        Draws from the encoder's embeddings.
    vlm
        The encoder that looks at the pictures.
    drawings
        All emoji.
    n
        Emoji of each split, drawn at random.
    seed
        Of the draw, and of the pictures.

    Returns
    -------
    dict
        For each split and each condition (``image``, ``text``, and ``shrunk``: the real drawings at the
        generator's size, which no generator of that size can be expected to pass), for each rank k the share
        within the first k as (value, low, high) with a 95 % Wilson interval; and what chance reaches.
        Shares in [0, 1]; higher is better.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {"candidates": len(drawings.drawing)}
    for split, of_split in (("training", drawings.training), ("held-out", ~drawings.training)):
        candidates = np.flatnonzero(of_split)
        rows = np.sort(rng.choice(candidates, min(n, len(candidates)), replace=False))
        pictures = {
            "image": generator.generate(drawings.image[rows], seed),
            "text": generator.generate(drawings.text[rows], seed),
            "shrunk": [enlarge(pixels) for pixels in drawings.pixels[rows]],
        }
        found[split] = {"n": len(rows)}
        for condition, shown in pictures.items():
            ranks = ranks_of_own(vlm.embed_images(shown), rows, drawings.image, drawings.drawing)
            found[split][condition] = {str(k): share_within(ranks, k) for k in RANKS}
    found["chance"] = {str(k): k / len(drawings.drawing) for k in RANKS}
    return found


def share_within(ranks: Int[np.ndarray, " q"], k: int) -> list[float]:
    """Share of ranks up to k, with its 95 % Wilson interval: [value, low, high]."""
    hits = int((ranks <= k).sum())
    interval = stats.binomtest(hits, len(ranks)).proportion_ci(0.95, method="wilson")
    return [hits / len(ranks), float(interval.low), float(interval.high)]
