"""Compiled loops over the activations of learned features."""

import numpy as np
from jaxtyping import Float32, Int, Int32

from modalens.compiled import compiled

# Features of a block, and groups that they are dealt out to in turns.
_BLOCK, _GROUPS = 256, 16


@compiled
def strongest_of_samples(
    activations: Float32[np.ndarray, "n f"],
    first: int,
    last: int,
    features: Int[np.ndarray, "n k"],
    values: Float32[np.ndarray, "n k"],
    numbers: Int[np.ndarray, " n"],
) -> None:
    """Find the k strongest positive activations of samples ``first`` to ``last``; of equal ones the first features.

    Features come ascending with their values; ``numbers`` says how many there are.

    As many groups as k have a maximum of at least the k-th largest maximum, so that the k strongest reach it too. Few
    others do, and it is among those few that they are looked for.
    """
    n_features, k = activations.shape[1], features.shape[1]
    blocks = -(-n_features // _BLOCK)
    maxima = np.empty((blocks, _GROUPS), dtype=np.float32)
    passed = np.empty(n_features + 1, dtype=np.int32)
    strength = np.empty(n_features + 1, dtype=np.float32)
    for sample in range(first, last):
        row = activations[sample]
        _maxima_of_groups(row, maxima)
        bound = np.float32(0)
        if maxima.size >= k:
            bound = _just_below(_reached_by(k, maxima.ravel().view(np.int32)))
        number = 0
        for block in range(blocks):
            if maxima[block].max() > bound:
                number = _over(bound, row, block * _BLOCK, passed, strength, number)
        if number > k:
            _keep_strongest(k, passed[:number], strength[:number])
            number = k
        features[sample, :number], values[sample, :number] = passed[:number], strength[:number]
        numbers[sample] = number


@compiled
def _maxima_of_groups(row: Float32[np.ndarray, " f"], maxima: Float32[np.ndarray, "b g"]) -> None:
    """The largest positive activation of each group, or 0."""
    maxima[:] = 0
    for block in range(len(maxima)):
        of_block = maxima[block]
        for start in range(block * _BLOCK, min((block + 1) * _BLOCK, len(row)), _GROUPS):
            some = row[start : start + _GROUPS]
            for group in range(len(some)):
                of_block[group] = some[group] if some[group] > of_block[group] else of_block[group]


@compiled
def _over(
    bound: np.float32,
    row: Float32[np.ndarray, " f"],
    start: int,
    passed: Int32[np.ndarray, " f1"],
    strength: Float32[np.ndarray, " f1"],
    number: int,
) -> int:
    """List the features of a block that are over a bound after the ``number`` so far, and count them."""
    some = row[start : start + _BLOCK]
    # Each is written, and the next over it: a branch would often be foreseen wrongly.
    for place in range(len(some)):
        passed[number], strength[number] = start + place, some[place]
        number += some[place] > bound
    return number


@compiled
def _keep_strongest(k: int, passed: Int32[np.ndarray, " c"], strength: Float32[np.ndarray, " c"]) -> None:
    """Move the k strongest of a list, of equal ones the first, to its front in their order."""
    bits = strength.view(np.int32)
    weakest = _reached_by(k, bits)
    ties = k - (bits > weakest).sum()
    kept = 0
    for place in range(len(bits)):
        tie = bits[place] == weakest
        keep = (bits[place] > weakest) | (tie & (ties > 0))
        passed[kept], strength[kept] = passed[place], strength[place]
        ties -= tie
        kept += keep


@compiled
def _reached_by(k: int, bits: Int32[np.ndarray, " n"]) -> np.int64:
    """A number that k of some reach, and not more unless the k-th largest is there more than once.

    They are the bits of floats, none negative, which are in the order of the floats.
    """
    low, high = np.int64(bits.min()), np.int64(bits.max()) + 1  # k or more reach the one, fewer the other
    while high - low > 1:
        middle = (low + high) // 2
        number = 0
        for each in bits:
            number += each >= middle
        if number == k:
            return middle
        if number > k:
            low = middle
        else:
            high = middle
    return low


@compiled
def _just_below(bits: np.int64) -> np.float32:
    """The largest number in single precision below the one of these bits; zero below zero."""
    below: np.float32 = np.int32(bits - 1 if bits > 0 else 0).view(np.float32)
    return below
