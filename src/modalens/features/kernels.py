"""Compiled loops over the activations of learned features."""

import numpy as np
from jaxtyping import Float32, Int

from modalens.compiled import compiled

# Activations looked at together for one that is among the strongest; few are.
_LANES = 64


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
    """
    n_features, k = activations.shape[1], features.shape[1]
    for sample in range(first, last):
        row, listed, strength = activations[sample], features[sample], values[sample]
        number, weakest, least = 0, 0, np.float32(0)
        for lane in range(0, n_features, _LANES):
            end = min(lane + _LANES, n_features)
            beats = False
            for feature in range(lane, end):
                beats |= row[feature] > least
            if not beats:
                continue
            for feature in range(lane, end):
                if not row[feature] > least:
                    continue
                if number < k:
                    listed[number], strength[number] = feature, row[feature]
                    number += 1
                else:  # features stay ascending: those after the weakest move up
                    for place in range(weakest, k - 1):
                        listed[place], strength[place] = listed[place + 1], strength[place + 1]
                    listed[k - 1], strength[k - 1] = feature, row[feature]
                if number == k:
                    weakest = 0
                    for place in range(1, k):
                        if strength[place] <= strength[weakest]:
                            weakest = place
                    least = strength[weakest]
        numbers[sample] = number
