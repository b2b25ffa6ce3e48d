"""Cross-modal retrieval: how often the other half of a pair is among the nearest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from modalens.arrays import Matrix, paired_shape, read_rows
from modalens.errors import ModalensError
from modalens.store.base import PairStore
from modalens.store.paired import paired

RANKS = (1, 5, 10)
_QUERY_ROWS = 1024


@dataclass(frozen=True, repr=False)
class Retrieval:
    """Recall at 1, 5 and 10 in both directions, each as (value, low, high) with a 95 % Wilson interval.

    All values are shares in [0, 1]; higher is better. ``chance`` is what a blind guess reaches among the
    ``n`` candidate images.
    """

    image_to_text: Mapping[int, tuple[float, float, float]]
    text_to_image: Mapping[int, tuple[float, float, float]]
    chance: Mapping[int, float]
    n: int

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
        )


def measure_retrieval(
    image: PairStore | Matrix,
    text: Matrix | None = None,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    image_ids: Sequence[Any] | np.ndarray | None = None,
    max_pairs: int = 5000,
    seed: int = 0,
) -> Retrieval:
    """Recall at 1, 5 and 10 by cosine, image to text and text to image.

    Parameters
    ----------
    image, text
        A store, whose matrices and images are taken; or paired matrices of shape (n, d).
    groups
        The image of each row: rows that share one show one image, which then counts once, and any of its
        texts is right. By default that of the store, or every row is an image of its own.
    image_ids
        The same by another name.
    max_pairs
        Recall falls with the number of candidates, so it is measured on at most this many pairs, drawn
        by ``seed``; the number of images it came to stands in the result.

    Raises
    ------
    ModalensError
        If the shapes do not fit or a value is NaN or infinite.

    Notes
    -----
    A wrong candidate that ties with the right one counts against it, so constant embeddings score at
    or under chance.
    """
    image, text, image_ids, _ = paired(image, text, groups if image_ids is None else image_ids)
    total, _ = paired_shape(image, text)
    labels = (
        np.arange(total) if image_ids is None else np.unique(np.asarray(image_ids), return_inverse=True)[1]
    )
    if len(labels) != total:
        raise ModalensError(f"image_ids has {len(labels)} entries for {total} pairs; give one a pair.")
    rows = np.arange(total)
    if total > max_pairs:
        rows = np.sort(np.random.default_rng(seed).choice(total, max_pairs, replace=False))
        labels = labels[rows]
    texts = _unit_rows(text, rows, "text")
    first = np.sort(np.unique(labels, return_index=True)[1])
    images, image_labels = _unit_rows(image, rows[first], "image"), labels[first]

    return Retrieval(
        image_to_text=_recalls(_ranks(images, texts, image_labels, labels)),
        text_to_image=_recalls(_ranks(texts, images, labels, image_labels)),
        chance={k: min(1.0, k / len(images)) for k in RANKS},
        n=len(images),
    )


def _unit_rows(matrix: Matrix, rows: np.ndarray, name: str) -> np.ndarray:
    blocks = []
    for start in range(0, len(rows), _QUERY_ROWS):
        wanted = rows[start : start + _QUERY_ROWS]
        block = read_rows(matrix[wanted], 0, len(wanted), name)
        block = block.toarray() if hasattr(block, "toarray") else block
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        blocks.append((block / np.where(norms == 0, 1, norms)).astype(np.float32))
    return np.concatenate(blocks)


def _ranks(
    queries: np.ndarray, keys: np.ndarray, query_labels: np.ndarray, key_labels: np.ndarray
) -> np.ndarray:
    """Rank (1 is best) of the nearest right key of each query."""
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _QUERY_ROWS):
        stop = start + _QUERY_ROWS
        similar = queries[start:stop] @ keys.T
        right = query_labels[start:stop, None] == key_labels[None, :]
        best = np.where(right, similar, -np.inf).max(axis=1, keepdims=True)
        ranks[start:stop] = 1 + ((similar >= best) & ~right).sum(axis=1)
    return ranks


def _recalls(ranks: np.ndarray) -> dict[int, tuple[float, float, float]]:
    recalls = {}
    for k in RANKS:
        hits = int((ranks <= k).sum())
        interval = stats.binomtest(hits, len(ranks)).proportion_ci(0.95, method="wilson")
        recalls[k] = (hits / len(ranks), float(interval.low), float(interval.high))
    return recalls
