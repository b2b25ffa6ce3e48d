"""Cross-modal retrieval: how often the other half of a pair is among the nearest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from modalens.arrays import Block, Matrix, normalize_rows, paired_shape, read_rows
from modalens.compiled import cores, on_cores
from modalens.dominance.retrieval_kernels import count_nearer, products
from modalens.errors import ModalensError
from modalens.statistics.groups import group_keys, repeated_rows
from modalens.statistics.intervals import share_interval
from modalens.store.base import PairStore
from modalens.store.paired import paired

RANKS = (1, 5, 10)
MAX_PAIRS = 5000
_QUERY_ROWS = 1024
# Rows that tell which share of a block's cosines has to be taken again in double precision; over this one all are.
_LOOKED_AT, _MOST_NEAR = 32, 0.05
# Cosines of single-precision embeddings that differ by less differ by rounding.
_TIE = 1e-6


@dataclass(frozen=True, repr=False)
class Retrieval:
    """Recall at 1, 5 and 10 in both directions, each as (value, low, high) with a 95 % interval by group.

    All values are shares in [0, 1]; higher is better.

    Attributes
    ----------
    image_to_text, text_to_image
        Recall by rank.
    chance
        What a blind guess reaches among the candidate images, by rank.
    n, texts
        Number of images and of texts.
    ties
        Queries, of both directions, for which a wrong candidate is as near as the right one; they count as missed.
    """

    image_to_text: Mapping[int, tuple[float, float, float]]
    text_to_image: Mapping[int, tuple[float, float, float]]
    chance: Mapping[int, float]
    n: int
    texts: int
    ties: int

    def __repr__(self) -> str:
        ways = (("image to text", self.image_to_text), ("text to image", self.text_to_image))
        recalls = "; ".join(f"{way} {'/'.join(f'{v[0]:.3f}' for v in found.values())}" for way, found in ways)
        return f"Retrieval(R@{'/'.join(map(str, self.chance))} {recalls}, n={self.n})"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, ranks as strings."""
        return {
            "image_to_text": {str(k): list(v) for k, v in self.image_to_text.items()},
            "text_to_image": {str(k): list(v) for k, v in self.text_to_image.items()},
            "chance": {str(k): v for k, v in self.chance.items()},
            "n": self.n,
            "texts": self.texts,
            "ties": self.ties,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Retrieval":
        """Inverse of :meth:`to_dict`."""

        def recalls(name: str) -> dict[int, tuple[float, float, float]]:
            return {int(k): (v[0], v[1], v[2]) for k, v in values[name].items()}

        return cls(
            image_to_text=recalls("image_to_text"),
            text_to_image=recalls("text_to_image"),
            chance={int(k): v for k, v in values["chance"].items()},
            n=values["n"],
            texts=values["texts"],
            ties=values["ties"],
        )


def measure_retrieval(
    image: PairStore | Matrix,
    text: Matrix | None = None,
    *,
    image_ids: Sequence[Any] | np.ndarray | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    max_pairs: int = MAX_PAIRS,
    seed: int = 0,
) -> Retrieval:
    """Recall at 1, 5 and 10 by cosine, image to text and text to image.

    Parameters
    ----------
    image, text
        A store, whose matrices and images are taken; or paired matrices of shape (n, d).
    image_ids
        The image of each row: rows that share one show one image, which then counts once, and any of its texts is
        right. By default the store's; else ``groups``; else rows with equal embeddings are of one image, unless
        all are equal.
    groups
        What is drawn together in the intervals, such as concepts; one label a row, the same for all rows of an
        image. By default the image.
    max_pairs
        Recall falls with the number of candidates, so it is measured on at most this many pairs: those of whole
        images, drawn by ``seed``, so that an image keeps all its texts.

    Raises
    ------
    ModalensError
        If the shapes do not fit, or a value is NaN or infinite.

    Notes
    -----
    A wrong candidate that ties with the right one (cosines within 1e-6) counts against it, so constant embeddings
    score at or under chance.
    """
    if image_ids is None and text is not None:
        image_ids = groups
    image, text, image_ids, modalities = paired(image, text, image_ids)
    total, _ = paired_shape(image, text)
    labels = _labels(image_ids, total, "image_ids") if image_ids is not None else _distinct_images(image)
    keys = labels if groups is None else _labels(groups, total, "groups")
    rows = _whole_images(labels, max_pairs, seed)
    labels, keys = labels[rows], keys[rows]
    texts = _unit_rows(text, rows, modalities[1])
    first = np.sort(np.unique(labels, return_index=True)[1])
    images, image_labels = _unit_rows(image, rows[first], modalities[0]), labels[first]
    of_images, of_texts, ties = _ranks(images, texts, np.searchsorted(image_labels, labels))
    found = {}
    for way, ranks, groups_of in (
        ("image_to_text", of_images, keys[first]),
        ("text_to_image", of_texts, keys),
    ):
        recalls = {k: share_interval(ranks <= k, groups_of) for k in RANKS}
        found[way] = {k: (each.value, each.low, each.high) for k, each in recalls.items()}
    return Retrieval(
        found["image_to_text"],
        found["text_to_image"],
        chance={k: min(1.0, k / images.shape[0]) for k in RANKS},
        n=images.shape[0],
        texts=texts.shape[0],
        ties=ties,
    )


def retrieval_rows(
    image: Matrix,
    image_ids: Sequence[Any] | np.ndarray | None = None,
    *,
    max_pairs: int = MAX_PAIRS,
    seed: int = 0,
) -> Int[np.ndarray, " m"]:
    """The rows, in order, on which :func:`measure_retrieval` measures; see there for the arguments."""
    total = image.shape[0]
    labels = _distinct_images(image) if image_ids is None else _labels(image_ids, total, "image_ids")
    return _whole_images(labels, max_pairs, seed)


def _labels(values: Sequence[Any] | np.ndarray, total: int, name: str) -> Int[np.ndarray, " n"]:
    """Labels as numbers."""
    if len(values) != total:
        raise ModalensError(f"{name} has {len(values)} entries for {total} pairs; give one a pair.")
    return group_keys(values, total)


def _distinct_images(image: Matrix) -> Int[np.ndarray, " n"]:
    """The image of each row where nobody says it: equal rows are one image with several texts.

    If all rows are equal the embeddings have collapsed, and every row stays an image.
    """
    labels = repeated_rows(image)
    return labels if labels.max() > 0 else np.arange(len(labels))


def _whole_images(labels: Int[np.ndarray, " n"], max_pairs: int, seed: int) -> Int[np.ndarray, " m"]:
    """Rows of images drawn at random, at most so many but those of one image at least, in order."""
    if len(labels) <= max_pairs:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(labels.max() + 1)
    texts = np.cumsum(np.bincount(labels)[order])
    drawn = order[: max(1, int((texts <= max_pairs).sum()))]
    return np.flatnonzero(np.isin(labels, drawn))


def _unit_rows(matrix: Matrix, rows: np.ndarray, name: str) -> Block:
    """Some rows at unit length, dense or CSR in double precision; rows of zeros stay."""
    blocks = []
    for start in range(0, len(rows), _QUERY_ROWS):
        wanted = rows[start : start + _QUERY_ROWS]
        blocks.append(normalize_rows(read_rows(matrix[wanted], 0, len(wanted), name))[0])
    return sp.vstack(blocks, format="csr") if sp.issparse(blocks[0]) else np.concatenate(blocks)


def _ranks(
    images: Block, texts: Block, image_of_text: Int[np.ndarray, " t"]
) -> tuple[Int[np.ndarray, " i"], Int[np.ndarray, " t"], int]:
    """Rank (1 is best) of the nearest right text of each image and of the right image of each text, and how many tie.

    Cosines of dense rows are taken in single precision, and again in double where that could change a rank.
    """
    sparse = sp.issparse(images) and sp.issparse(texts)
    if not sparse:
        images, texts = (side.toarray() if sp.issparse(side) else side for side in (images, texts))
    right = np.empty(texts.shape[0])
    if sparse:
        right[:] = images[image_of_text].multiply(texts).sum(axis=1)
        others, margin = texts.T.tocsr(), 0.0
    else:
        products(texts, images, image_of_text, right)
        others, margin = texts.T.astype(np.float32), (texts.shape[1] + 4) * 2.0**-24
    best = np.full(images.shape[0], -np.inf)
    np.maximum.at(best, image_of_text, right)
    bounds = np.linspace(0, len(right), cores() + 1).astype(int).tolist()
    of_images = [np.zeros((len(best), 2), dtype=np.int64) for _ in bounds[1:]]
    of_texts = np.zeros((len(right), 2), dtype=np.int64)
    for start in range(0, len(best), _QUERY_ROWS):
        block = images[start : start + _QUERY_ROWS]
        similar = (block @ others).toarray() if sparse else block.astype(np.float32) @ others
        off = margin
        if not sparse and _nearly_all_tie(similar, best[start:], right, _TIE + margin):
            similar, off = block @ texts.T, 0.0
        exact = (np.empty((0, 0)),) * 2 if sparse else (images, texts)
        on_cores(
            count_nearer,
            [
                (similar, off, _TIE, *exact, start, *ends, image_of_text, best, right, counts, of_texts)
                for ends, counts in zip(pairwise(bounds), of_images, strict=True)
            ],
        )
    totals = np.sum(of_images, axis=0)
    return 1 + totals[:, 0], 1 + of_texts[:, 0], int((totals[:, 1] > 0).sum() + (of_texts[:, 1] > 0).sum())


def _nearly_all_tie(similar: np.ndarray, best: np.ndarray, right: np.ndarray, wide: float) -> bool:
    """Whether so many cosines are so near the right one's that it costs less to take all in double precision."""
    some = similar[:_LOOKED_AT]
    near = np.abs(some - best[: len(some), None]) <= wide
    near |= np.abs(some - right) <= wide
    return bool(near.mean() > _MOST_NEAR)
