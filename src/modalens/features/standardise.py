"""Mean and scale of the embeddings that a sparse autoencoder is trained on."""

import numpy as np
import torch

from modalens.arrays import Matrix, iter_blocks, paired_shape
from modalens.features.sae import Standardiser

# A dimension that varies less than this is constant, and stays as it is.
_LEAST_SCALE = 1e-8


def measure_standardiser(image: Matrix, text: Matrix, how: str) -> Standardiser:
    """Mean and population deviation of each dimension, in one pass over (n, d) matrices.

    Parameters
    ----------
    image, text
        Paired matrices.
    how
        ``none``, ``shared`` (one for both modalities) or ``per_modality``.
    """
    n, d = paired_shape(image, text)
    if how == "none":
        return Standardiser(torch.zeros(2, d), torch.ones(2, d))
    mean, square = np.zeros((2, d)), np.zeros((2, d))
    for row, (matrix, name) in enumerate(((image, "image"), (text, "text"))):
        for _, block in iter_blocks(matrix, name=name):
            dense = block.toarray() if hasattr(block, "toarray") else block
            mean[row] += dense.sum(axis=0) / n
            square[row] += np.square(dense).sum(axis=0) / n
    if how == "shared":
        mean[:], square[:] = mean.mean(axis=0), square.mean(axis=0)
    scale = np.sqrt(np.maximum(square - mean**2, 0))
    scale[scale <= _LEAST_SCALE] = 1.0
    return Standardiser(torch.from_numpy(mean), torch.from_numpy(scale))
