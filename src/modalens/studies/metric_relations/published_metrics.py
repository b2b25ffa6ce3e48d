"""Metrics of monosemanticity that others published, in closed form."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block, Matrix, iter_blocks, matrix_shape, read_rows

_ROWS = 1024


def monosemanticity_score(codes: Matrix, embeddings: Matrix) -> Float[np.ndarray, " f"]:
    """MonoSemanticity score: mean cosine over all pairs of samples, weighted by how strongly a feature fires for both.

    Parameters
    ----------
    codes
        Features of one modality, (n, f).
    embeddings
        The samples by another model, (n, d).

    Returns
    -------
    ndarray
        In [-1, 1], higher is more monosemantic, (f,); NaN for a feature that is constant or fires for one sample.

    Notes
    -----
    Pach et al. 2025 (Sparse Autoencoders Learn Monosemantic Features in Vision-Language Models), as their code
    sae-for-vlm has it: activations are scaled to [0, 1] by each feature's least and largest value over the samples, and
    MS = sum_{i<j} a_i a_j cos(i, j) / sum_{i<j} a_i a_j. With u the embeddings at length one the sums are
    (``|sum a u|^2 - sum a^2``) / 2 and ((sum a)^2 - sum a^2) / 2, so it is one pass instead of n^2 / 2 pairs.
    """
    _, f = matrix_shape(codes)
    low, high = np.full(f, np.inf), np.full(f, -np.inf)
    for _, block in iter_blocks(codes, _ROWS):
        dense = _dense(block)
        low, high = np.minimum(low, dense.min(axis=0)), np.maximum(high, dense.max(axis=0))
    span = np.where(high > low, high - low, np.nan)
    weighted = np.zeros((f, matrix_shape(embeddings)[1]))
    sums, squares = np.zeros(f), np.zeros(f)
    blocks = (iter_blocks(codes, _ROWS), iter_blocks(embeddings, _ROWS, "sample embedding"))
    for (_, block), (_, rows) in zip(*blocks, strict=True):
        scaled = (_dense(block) - low) / span
        weighted += scaled.T @ _unit(_dense(rows))
        sums += scaled.sum(axis=0)
        squares += (scaled**2).sum(axis=0)
    pairs = sums**2 - squares
    with np.errstate(invalid="ignore", divide="ignore"):
        score = ((weighted**2).sum(axis=1) - squares) / pairs
    found: np.ndarray = np.where(pairs > 1e-9 * np.maximum(squares, 1e-300), score, np.nan)
    return found


def clarity(embeddings: Matrix, rows: Int[np.ndarray, "f m"]) -> Float[np.ndarray, " f"]:
    """SemanticLens's clarity: mean cosine between a feature's strongest samples, by the length of their mean.

    Parameters
    ----------
    embeddings
        The samples by another model, (n, d).
    rows
        Each feature's strongest samples; -1 where there are fewer than m.

    Returns
    -------
    ndarray
        c / (c - 1) (``|mean u|^2`` - 1 / c) over c samples, in [-1 / (c - 1), 1], (f,); NaN for c < 2. It is the mean
        cosine S+ of EmbSim, of which ours by the exact baseline is a straight line.

    Notes
    -----
    Dreyer et al. 2025 (Mechanistic Understanding and Validation of Large AI Models with SemanticLens).
    """
    found = np.full(len(rows), np.nan)
    for feature, mean, count in _means(embeddings, rows):
        found[feature] = count / (count - 1) * (float(mean @ mean) - 1 / count)
    return found


def redundancy(embeddings: Matrix, rows: Int[np.ndarray, "f m"]) -> Float[np.ndarray, " f"]:
    """SemanticLens's redundancy: largest cosine of a feature's mean strongest sample with another feature's.

    Parameters
    ----------
    embeddings, rows
        As for :func:`clarity`.

    Returns
    -------
    ndarray
        In [-1, 1], lower is better, (f,); NaN for a feature with fewer than two samples, or if there is no other.
    """
    found = np.full(len(rows), np.nan)
    means = {feature: mean for feature, mean, _ in _means(embeddings, rows)}
    if len(means) > 1:
        unit = _unit(np.stack(list(means.values())))
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -np.inf)
        found[list(means)] = cosines.max(axis=1)
    return found


def _means(
    embeddings: Matrix, rows: Int[np.ndarray, "f m"]
) -> Iterator[tuple[int, Float[np.ndarray, " d"], int]]:
    """Every feature with at least two strongest samples, their mean at length one each, and their number."""
    used, place = np.unique(rows[rows >= 0], return_inverse=True)
    if not len(used):
        return
    unit = _unit(_dense(read_rows(embeddings[used], 0, len(used), "sample embedding")))
    of_row = np.full(rows.shape, -1)
    of_row[rows >= 0] = place.reshape(-1)
    for feature, places in enumerate(of_row):
        inside = places[places >= 0]
        if len(inside) > 1:
            yield feature, unit[inside].mean(axis=0), len(inside)


def _dense(block: Block) -> Float[np.ndarray, "b f"]:
    dense = block.toarray() if sp.issparse(block) else block
    return np.asarray(dense, dtype=np.float64)


def _unit(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return found
