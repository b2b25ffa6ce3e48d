"""What is said to show the modality gap, on the data and on resamples of it, all at once."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import normalize_rows
from modalens.dominance.rules import RULES, class_tally

L2M, RMG, SPREAD = "l2m_unbiased", "rmg", "spread"
SIDED = {rule: f"one_sided_{rule}" for rule in RULES}
MEASURES = (L2M, RMG, SPREAD, *SIDED.values())


def resampled_measures(
    image: Float[np.ndarray, "n d"],
    text: Float[np.ndarray, "n d"],
    groups: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, "g r"],
) -> Float[np.ndarray, "m r"]:
    """Each of :data:`MEASURES` under each weighting of the groups.

    Parameters
    ----------
    image, text
        Paired embeddings or dense features.
    groups
        Number of each pair's group.
    weights
        How often each column takes each group; a column of ones is the data.

    Returns
    -------
    ndarray
        L2M without its noise and RMG (:func:`modalens.dominance.modality_gap`), the standard deviation of R
        (``mean_ratio``) over dimensions, and the share of live dimensions that are one-sided by each class rule.
    """
    weights = weights.astype(np.float64)
    return np.concatenate([_gap(image, text, groups, weights), _scores(image, text, groups, weights)])


def _gap(
    image: np.ndarray, text: np.ndarray, groups: np.ndarray, weights: Float[np.ndarray, "g r"]
) -> Float[np.ndarray, "2 r"]:
    """L2M and RMG, from products of different groups' samples only."""
    first, second = (normalize_rows(np.asarray(side, dtype=np.float64))[0] for side in (image, text))
    sizes = np.bincount(groups, minlength=len(weights)).astype(np.float64)
    pairs = sizes @ weights
    between = pairs**2 - sizes**2 @ weights**2

    def mean_product(rows: np.ndarray) -> np.ndarray:
        sums = _by_group(rows, groups, len(weights))
        whole = (((weights.T @ sums) ** 2).sum(axis=1) - (sums**2).sum(axis=1) @ weights**2) / between
        return np.asarray(whole)

    l2m = np.sqrt(np.maximum(mean_product(first - second), 0))
    within = (2 - mean_product(first) - mean_product(second)) / 4
    apart = _by_group(((1 - (first * second).sum(axis=1)) / 2)[:, None], groups, len(weights))
    paired = (weights.T @ apart)[:, 0] / pairs
    both = paired + within
    return np.stack([l2m, np.divide(paired, both, out=np.full(both.shape, np.nan), where=both > 0)])


def _scores(
    image: np.ndarray, text: np.ndarray, groups: np.ndarray, weights: Float[np.ndarray, "g r"]
) -> Float[np.ndarray, "k r"]:
    """Spread of R and the shares of one-sided dimensions."""
    sizes = np.abs(image), np.abs(text)
    both = np.add(*sizes)
    counted = both > 0
    ratio = np.divide(sizes[0], both, out=np.zeros(both.shape), where=counted)
    total = weights.T @ _by_group(ratio, groups, len(weights))
    count = weights.T @ _by_group(counted.astype(np.float64), groups, len(weights))
    score = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    tallies = [class_tally(score.T, rule)[1] for rule in RULES]
    sided = [(tally[0] + tally[2]) / np.maximum(tally.sum(axis=0), 1) for tally in tallies]
    return np.stack([np.nanstd(score, axis=1), *sided])


def _by_group(
    rows: Float[np.ndarray, "n k"], groups: Int[np.ndarray, " n"], n: int
) -> Float[np.ndarray, "g k"]:
    """Sums of rows over groups."""
    members = sp.csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(n, len(groups)))
    sums: np.ndarray = members @ rows
    return sums
