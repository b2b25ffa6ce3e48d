"""The active features of samples as sparse codes, found in compiled loops."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Int

from modalens.compiled import cores, on_cores
from modalens.features.kernels import strongest_of_samples


def strongest(activations: Float32[np.ndarray, "n f"], k: int) -> sp.csr_array:
    """The k strongest positive activations of each sample."""
    n = len(activations)
    features, values, numbers = listed(activations, k)
    if numbers.min(initial=k) == k:
        parts = values.ravel(), features.ravel(), np.arange(0, n * k + 1, k)
    else:
        there = np.arange(k) < numbers[:, None]
        parts = values[there], features[there], np.append(0, np.cumsum(numbers))
    return sp.csr_array(parts, shape=activations.shape)


def listed(
    activations: Float32[np.ndarray, "n f"], k: int
) -> tuple[Int[np.ndarray, "n k"], Float32[np.ndarray, "n k"], Int[np.ndarray, " n"]]:
    """The k strongest positive activations of samples: features, ascending, their values, and how many there are."""
    n = len(activations)
    features, values = np.empty((n, k), dtype=np.int64), np.empty((n, k), dtype=np.float32)
    numbers = np.empty(n, dtype=np.int64)
    ends = pairwise(np.linspace(0, n, cores() + 1).astype(int).tolist())
    on_cores(strongest_of_samples, ((activations, *part, features, values, numbers) for part in ends))
    return features, values, numbers
