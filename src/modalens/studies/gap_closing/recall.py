"""Retrieval of many edits of the same pairs: one product in single precision for both directions."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block
from modalens.compiled import on_cores, one_blas_thread
from modalens.dominance.retrieval import RANKS
from modalens.statistics.groups import group_keys
from modalens.statistics.intervals import share_interval

# As in modalens.dominance.retrieval: cosines that differ by less are ties.
_TIE = 1e-6
_QUERY_ROWS = 512
# Of a block whose cosines lie so often where single precision cannot tell them, all are computed in double.
_MOST_UNSURE = 1 / 64

Recalls = dict[int, tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class Recall:
    """Which texts show which image, and what is drawn together in intervals.

    Attributes
    ----------
    first
        Row of each image, (m,).
    image
        Image of each text, from 0 to m - 1, (n,).
    keys
        A number that pairs of one group share, (n,).
    """

    first: Int[np.ndarray, " m"]
    image: Int[np.ndarray, " n"]
    keys: Int[np.ndarray, " n"]

    @classmethod
    def of(cls, image_ids: np.ndarray, groups: np.ndarray | None) -> Self:
        """Of a label a pair for images, and one for groups, by default the image."""
        labels = group_keys(image_ids, len(image_ids))
        _, first, image = np.unique(labels, return_index=True, return_inverse=True)
        order = np.argsort(first)
        keys = labels if groups is None else group_keys(groups, len(labels))
        return cls(first[order], np.argsort(order)[image], keys)

    def measure(self, image: Block, text: Block) -> tuple[Recalls, Recalls]:
        """Recall by rank, image to text and text to image, each as (value, low, high).

        Parameters
        ----------
        image, text
            Paired unit rows (n, d), dense or CSR; zeros have no direction and are missed.

        Notes
        -----
        What :func:`modalens.dominance.measure_retrieval` says of all rows. A query's own cosines are computed first, in
        double precision, so that every other one is only counted where it reaches them.
        """
        found = self._wrong(image[self.first], text)
        keys = (self.keys[self.first], self.keys)
        recalls = []
        for wrong, groups in zip(found, keys, strict=True):
            shares = {rank: share_interval(wrong < rank, groups) for rank in RANKS}
            recalls.append({rank: (each.value, each.low, each.high) for rank, each in shares.items()})
        return recalls[0], recalls[1]

    def _wrong(self, images: Block, texts: Block) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " n"]]:
        """Number of wrong texts as near as the nearest right one, of each image; and of wrong images, of each text."""
        own = products(images[self.image], texts)
        best = np.full(len(self.first), -np.inf)
        np.maximum.at(best, self.image, own)
        pairs = _Pairs.of(images, texts, best - _TIE, own - _TIE, self.image)
        with one_blas_thread():
            starts = range(0, len(self.first), _QUERY_ROWS)
            found = on_cores(pairs.reached, ((start, start + _QUERY_ROWS) for start in starts))
        of_texts = np.sum([each[1] for each in found], axis=0)
        return np.concatenate([each[0] for each in found]), of_texts


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Unit vectors of images and texts, and the cosine that a wrong one has to reach with each.

    Attributes
    ----------
    images, texts
        (m, d) and (n, d), dense or CSR.
    single
        Both in single precision where dense, without dimensions that are 0 on a side; None for CSR.
    of_images, of_texts
        The cosines to reach, (m,) and (n,).
    image
        The right image of each text, (n,).
    """

    images: Block
    texts: Block
    single: tuple[np.ndarray, np.ndarray] | None
    of_images: Float[np.ndarray, " m"]
    of_texts: Float[np.ndarray, " n"]
    image: Int[np.ndarray, " n"]

    @classmethod
    def of(
        cls, images: Block, texts: Block, of_images: np.ndarray, of_texts: np.ndarray, image: np.ndarray
    ) -> Self:
        single = None
        if not sp.issparse(images):
            both = np.flatnonzero(images.any(axis=0) & texts.any(axis=0))
            single = images[:, both].astype(np.float32), texts[:, both].astype(np.float32)
        return cls(images, texts, single, of_images, of_texts, image)

    def reached(self, start: int, stop: int) -> tuple[Int[np.ndarray, " b"], Int[np.ndarray, " n"]]:
        """For some images the number of wrong texts that reach them, and for each text that of these images."""
        if self.single is not None:
            cosines = self.single[0][start:stop] @ self.single[1].T
            self._leave_out_own(cosines, start)
            of_images = self._told(cosines, start, 0)
            of_texts = None if of_images is None else self._told(cosines, start, 1)
            if of_images is not None and of_texts is not None:
                return of_images, of_texts
        cosines = self.images[start:stop] @ self.texts.T
        cosines = cosines.toarray() if sp.issparse(cosines) else cosines
        self._leave_out_own(cosines, start)
        levels = self.of_images[start:stop, None], self.of_texts
        return np.count_nonzero(cosines >= levels[0], axis=1), np.count_nonzero(cosines >= levels[1], axis=0)

    def _told(self, cosines: np.ndarray, start: int, side: int) -> np.ndarray | None:
        """How many single-precision cosines reach the level of their row (side 0) or column.

        Those too near to tell are computed again in double, but for 0, which vectors without overlap have exactly; None
        where they are too many.
        """
        level = (self.of_images[start : start + len(cosines), None], self.of_texts[None])[side]
        # Of sums of d products, at eight standard deviations (Higham and Mary 2019).
        error = 8 * np.sqrt(self.images.shape[1] + 1) * 2.0**-24
        reached = cosines >= (level + error).astype(np.float32)
        counts: np.ndarray = np.count_nonzero(reached, axis=1 - side)
        near = _places((cosines >= (level - error).astype(np.float32)) ^ reached)
        exact = np.zeros(len(near[0]))
        some = np.flatnonzero(cosines[near])
        if len(some) > _MOST_UNSURE * cosines.size:
            return None
        exact[some] = products(self.images[start + near[0][some]], self.texts[near[1][some]])
        np.add.at(counts, near[side], exact >= level.ravel()[near[side]])
        return counts

    def _leave_out_own(self, cosines: np.ndarray, start: int) -> None:
        """Set those of texts with their own image so low that nothing is reached, in place."""
        own = np.flatnonzero((self.image >= start) & (self.image < start + len(cosines)))
        cosines[self.image[own] - start, own] = -np.inf


def _places(mask: Bool[np.ndarray, "b n"]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what is true, which is little: eight are looked at together."""
    flat = mask.ravel()
    whole = len(flat) // 8 * 8
    eights = np.flatnonzero(flat[:whole].view(np.uint64))
    found = np.append((8 * eights[:, None] + np.arange(8)).ravel(), np.arange(whole, len(flat)))
    rows, columns = np.divmod(found[flat[found]], mask.shape[1])
    return rows, columns


def products(first: Block, second: Block) -> Float[np.ndarray, " n"]:
    """Product of each row with the same row of another matrix."""
    if sp.issparse(first):
        return np.asarray(first.multiply(second).sum(axis=1)).ravel()
    found: np.ndarray = np.einsum("ij,ij->i", first, second)
    return found
