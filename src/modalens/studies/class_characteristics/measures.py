"""What a feature does, beside which side drives it."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block, Matrix, read_rows


def rows_of(matrix: Matrix, rows: Int[np.ndarray, " n"], name: str) -> Block:
    """Some rows in memory, with columns that are quick to read."""
    picked: Any = matrix.pick(rows) if hasattr(matrix, "pick") else matrix[rows]
    block = read_rows(picked, 0, len(rows), f"{name} feature matrix")
    return block.tocsc() if sp.issparse(block) else np.asfortranarray(block)


def column(block: Block, feature: int) -> Float[np.ndarray, " n"]:
    """One feature over the samples."""
    found = block[:, [feature]]
    return (found.toarray() if sp.issparse(found) else np.asarray(found)).ravel().astype(np.float64)


def correlation(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Pearson correlation over pairs; NaN where a side is constant."""
    if not (np.ptp(first) and np.ptp(second)):
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])


def mutual_information(
    first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"], bins: int, *, corrected: bool = True
) -> float:
    """Mutual information of a feature's activity and the modality, in bits.

    Activity is the magnitude in levels: 0, and the rest by quantiles over both sides.

    Parameters
    ----------
    first, second
        The feature on samples of either modality.
    bins
        Levels over 0.
    corrected
        Whether to take off the bias of few samples, (K_xy - K_x - K_y + 1) / (2 N) nats with K the cells that are not
        empty (Miller 1955); the value can then lie a little under 0.
    """
    magnitude = np.abs(np.concatenate([first, second]))
    active = magnitude > 0
    level = np.zeros(len(magnitude), dtype=np.int64)
    if active.any():
        edges = np.unique(np.quantile(magnitude[active], np.linspace(0, 1, bins + 1)[1:-1]))
        level[active] = 1 + np.searchsorted(edges, magnitude[active], side="left")
    side = np.repeat([0, 1], [len(first), len(second)])
    joint = np.zeros((int(level.max()) + 1, 2))
    np.add.at(joint, (level, side), 1)
    cells = [joint.sum(axis=1), joint.sum(axis=0), joint.ravel()]
    n = joint.sum()
    found = _entropy(cells[0]) + _entropy(cells[1]) - _entropy(cells[2])
    if corrected:
        filled = [int((each > 0).sum()) for each in cells]
        found -= (filled[2] - filled[0] - filled[1] + 1) / (2 * n)
    return float(found / np.log(2))


def _entropy(counts: Float[np.ndarray, " k"]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
