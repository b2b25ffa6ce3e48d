"""Loops over the codes' entries, compiled: the strongest samples of features."""

import numpy as np
from jaxtyping import Float, Int

from modalens.compiled import compiled

# Features looked at together for a sample that is listed; few are.
_LANES = 64


@compiled
def rank_dense(
    block: Float[np.ndarray, "n f"],
    start: int,
    by_magnitude: bool,
    keys: Int[np.ndarray, " g"],
    first: int,
    last: int,
    rows: Int[np.ndarray, "f m"],
    values: Float[np.ndarray, "f m"],
    strength: Float[np.ndarray, "f m"],
    fired: Int[np.ndarray, " f"],
    lowest: Float[np.ndarray, " f"],
    highest: Float[np.ndarray, " f"],
) -> None:
    """Merge the rows of a block, numbered from ``start``, into the lists of features ``first`` to ``last``."""
    weakest = strength[first:last, -1].copy()
    for row in range(block.shape[0]):
        for lane in range(first, last, _LANES):
            beats = False
            for feature in range(lane, min(lane + _LANES, last)):
                value = block[row, feature]
                fired[feature] += value != 0
                lowest[feature] = min(lowest[feature], value)
                highest[feature] = max(highest[feature], value)
                strong = abs(value) if by_magnitude else value
                beats |= strong > weakest[feature - first]
            if beats:
                for feature in range(lane, min(lane + _LANES, last)):
                    value = block[row, feature]
                    strong = abs(value) if by_magnitude else value
                    if strong > weakest[feature - first]:
                        insert(
                            start + row,
                            value,
                            strong,
                            keys,
                            rows[feature],
                            values[feature],
                            strength[feature],
                        )
                        weakest[feature - first] = strength[feature, -1]


@compiled
def rank_sparse(
    data: Float[np.ndarray, " nnz"],
    entry_rows: Int[np.ndarray, " nnz"],
    ends: Int[np.ndarray, " f1"],
    start: int,
    by_magnitude: bool,
    keys: Int[np.ndarray, " g"],
    first: int,
    last: int,
    rows: Int[np.ndarray, "f m"],
    values: Float[np.ndarray, "f m"],
    strength: Float[np.ndarray, "f m"],
    fired: Int[np.ndarray, " f"],
    lowest: Float[np.ndarray, " f"],
    highest: Float[np.ndarray, " f"],
) -> None:
    """The same for a block in CSC form with sorted rows; ``lowest`` and ``highest`` are of stored entries."""
    for feature in range(first, last):
        for place in range(ends[feature], ends[feature + 1]):
            value = data[place]
            lowest[feature] = min(lowest[feature], value)
            highest[feature] = max(highest[feature], value)
            strong = abs(value) if by_magnitude else value
            if strong > strength[feature, -1]:
                insert(
                    start + entry_rows[place],
                    value,
                    strong,
                    keys,
                    rows[feature],
                    values[feature],
                    strength[feature],
                )
        fired[feature] += ends[feature + 1] - ends[feature]


@compiled
def insert(
    row: int,
    value: float,
    strong: float,
    keys: Int[np.ndarray, " g"],
    rows: Int[np.ndarray, " m"],
    values: Float[np.ndarray, " m"],
    strength: Float[np.ndarray, " m"],
) -> None:
    """Put a sample into a list, strongest first, behind those as strong; it is stronger than the last one.

    ``keys`` is the group of every row, of which a list holds one sample; empty where no two rows share a group.
    """
    end = len(rows) - 1
    if len(keys):
        for place in range(len(rows)):
            if rows[place] >= 0 and keys[rows[place]] == keys[row]:
                if strong <= strength[place]:
                    return
                end = place
                break
    while end > 0 and strength[end - 1] < strong:
        rows[end], values[end], strength[end] = rows[end - 1], values[end - 1], strength[end - 1]
        end -= 1
    rows[end], values[end], strength[end] = row, value, strong
