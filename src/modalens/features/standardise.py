"""Mean and scale of the embeddings that a sparse autoencoder is trained on."""

from collections.abc import Sequence

import numpy as np
import torch

from modalens.arrays import Matrix, iter_blocks, paired_shape
from modalens.errors import InputError
from modalens.features.sae import Standardiser

# A dimension that varies less than this is constant, and stays as it is.
_LEAST_SCALE = 1e-8


def measure_standardiser(
    image: Matrix, text: Matrix, how: str, others: Sequence[Matrix] = ()
) -> Standardiser:
    """Mean and population deviation of each dimension, in one pass over (n, d) matrices.

    Parameters
    ----------
    image, text
        Paired matrices.
    how
        ``none``, ``shared`` (one for all modalities) or ``per_modality``.
    others
        Matrices of further modalities, aligned with these; they cannot be standardised by modality.

    Raises
    ------
    ModalensError
        If more than two modalities are to be standardised each on its own.
    """
    n, d = paired_shape(image, text)
    if how == "none":
        return Standardiser(torch.zeros(2, d), torch.ones(2, d))
    if how == "per_modality" and others:
        raise InputError("Of more than two modalities none is standardised on its own; take none or shared.")
    sides = [(image, "image"), (text, "text"), *((other, "third or further") for other in others)]
    mean, square = np.zeros((2, len(sides), d))
    for row, (matrix, name) in enumerate(sides):
        for _, block in iter_blocks(matrix, name=name):
            dense = block.toarray() if hasattr(block, "toarray") else block
            mean[row] += dense.sum(axis=0) / n
            square[row] += np.square(dense).sum(axis=0) / n
    if how == "shared":
        mean[:], square[:] = mean.mean(axis=0), square.mean(axis=0)
    mean, square = mean[:2], square[:2]
    scale = np.sqrt(np.maximum(square - mean**2, 0))
    scale[scale <= _LEAST_SCALE] = 1.0
    return Standardiser(torch.from_numpy(mean), torch.from_numpy(scale))
