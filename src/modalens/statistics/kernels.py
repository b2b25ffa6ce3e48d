"""Compiled loops of statistics: what resamples take, and what tells rows from others."""

from typing import Any

import numpy as np

from modalens.compiled import compiled, number

# Constants of SplitMix64, whose mixing step makes numbers that are alike unlike.
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@compiled
def count_taken(taken: Any, counts: Any) -> None:
    """Add to ``counts`` (r, b) how often each row of ``taken`` (r, n) names each bucket."""
    for row in range(taken.shape[0]):
        for place in range(taken.shape[1]):
            counts[row, taken[row, place]] += 1


@compiled
def dense_digests(block: Any, digests: Any) -> bool:
    """Fill in 16 bytes (n, 2) that tell each row from others, 0 for rows of zeros; and say whether all is finite."""
    finite = True
    for row in range(block.shape[0]):
        first, second = np.uint64(0), np.uint64(0)
        for column in range(block.shape[1]):
            value = number(block[row, column])
            finite &= value - value == 0.0
            mixed = _mixed(value, column)
            first += mixed
            second += mixed * (np.uint64(2) * np.uint64(column) + np.uint64(1))
        digests[row, 0], digests[row, 1] = first, second
    return finite


@compiled
def csr_digests(starts: Any, columns: Any, values: Any, digests: Any) -> None:
    """The same of the rows of a CSR matrix in canonical form, which are those of the dense matrix."""
    for row in range(len(starts) - 1):
        first, second = np.uint64(0), np.uint64(0)
        for place in range(starts[row], starts[row + 1]):
            column = columns[place]
            mixed = _mixed(np.float64(values[place]), column)
            first += mixed
            second += mixed * (np.uint64(2) * np.uint64(column) + np.uint64(1))
        digests[row, 0], digests[row, 1] = first, second


@compiled
def _mixed(value: float, column: int) -> Any:
    """A hash of a value and where it stands; 0 for the value 0."""
    bits = np.float64(value).view(np.uint64) + np.uint64(_STEP) * (np.uint64(column) + np.uint64(1))
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_FIRST)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_SECOND)
    return bits ^ (bits >> np.uint64(31)) if value != 0.0 else np.uint64(0)
