"""How strongly each feature is active on either side, counted over bins the two sides share."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block, Matrix, default_block_rows, iter_blocks, paired_shape
from modalens.statistics.checks import check_whole


@dataclass(frozen=True, eq=False)
class ActivationHistograms:
    """Counts of each feature's activations in bins that both modalities share.

    Attributes
    ----------
    edges
        Bounds of the bins, (f, b + 1), rising, in the units of the activations; NaN for dead features. As in
        :func:`numpy.histogram`, a bin holds its lower bound, and the last one its upper bound too.
    image, text
        Samples whose activation lies in each bin, (f, b).
    image_zeros, text_zeros
        Samples in which the feature is exactly 0, (f,): those lie in no bin.
    """

    edges: Float[np.ndarray, "f b1"]
    image: Int[np.ndarray, "f b"]
    text: Int[np.ndarray, "f b"]
    image_zeros: Int[np.ndarray, " f"]
    text_zeros: Int[np.ndarray, " f"]


def activation_histograms(image: Matrix, text: Matrix, bins: int = 20) -> ActivationHistograms:
    """Count the activations of every feature over equal bins from its smallest to its largest.

    The range is over both modalities and leaves out exact zeros, which are counted apart: a sparse feature's
    silence would fill one bin and flatten the rest. A feature with a single value gets bins of a total width of
    1 around it. Reads each matrix twice, in blocks.

    Parameters
    ----------
    image, text
        Activations of the two sides, (n, f), dense or sparse.
    bins
        Number of bins b, at least 1.

    Raises
    ------
    ModalensError
        If ``bins`` is no positive whole number, the shapes differ, or a value is NaN or infinite.
    """
    bins = check_whole("bins", bins, 1)
    n, f = paired_shape(image, text)
    sides = {"image": image, "text": text}
    low, high = np.full(f, np.inf), np.full(f, -np.inf)
    for name, matrix in sides.items():
        for _, block in iter_blocks(matrix, default_block_rows(matrix), name):
            features, values = _activations(block)
            np.minimum.at(low, features, values)
            np.maximum.at(high, features, values)
    edges = _edges(low, high, bins)
    counts = {name: _count(matrix, edges, name) for name, matrix in sides.items()}
    return ActivationHistograms(
        edges=edges,
        image=counts["image"],
        text=counts["text"],
        image_zeros=n - counts["image"].sum(axis=1),
        text_zeros=n - counts["text"].sum(axis=1),
    )


def _activations(block: Block) -> tuple[Int[np.ndarray, " nnz"], Float[np.ndarray, " nnz"]]:
    """Feature and value of every activation that is not 0."""
    if sp.issparse(block):
        return block.indices, block.data
    rows, features = block.nonzero()
    return features, block[rows, features]


def _edges(low: np.ndarray, high: np.ndarray, bins: int) -> Float[np.ndarray, "f b1"]:
    low, high = (np.where(np.isinf(bound), np.nan, bound) for bound in (low, high))
    single = np.where(low == high, 0.5, 0.0)
    edges: np.ndarray = np.linspace(low - single, high + single, bins + 1, axis=1)
    return edges


def _count(matrix: Matrix, edges: Float[np.ndarray, "f b1"], name: str) -> Int[np.ndarray, "f b"]:
    f, bins = len(edges), edges.shape[1] - 1
    counts = np.zeros(f * bins, dtype=np.int64)
    for _, block in iter_blocks(matrix, default_block_rows(matrix), name):
        features, values = _activations(block)
        low, high = edges[features, 0], edges[features, -1]
        place = ((values - low) / (high - low) * bins).astype(np.int64).clip(0, bins - 1)
        # Rounding may put a value that sits on a bound on its wrong side.
        place -= values < edges[features, place]
        place += (values >= edges[features, place + 1]) & (place < bins - 1)
        counts += np.bincount(features * np.int64(bins) + place, minlength=f * bins)
    return counts.reshape(f, bins)
