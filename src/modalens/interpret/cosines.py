"""How alike samples are to the model that judges them."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int64
from scipy.sparse.linalg import norm as sparse_norms

from modalens.arrays import Matrix, default_block_rows, iter_blocks, read_rows
from modalens.errors import ModalensError


class SampleCosines:
    """Cosines between the rows of a matrix, which stays where it lies: only the norms are held.

    Parameters
    ----------
    embeddings
        One row per sample, (n, d), not normalised or normalised.

    Raises
    ------
    ModalensError
        If a row is NaN, infinite or all zeros; the sentence names the first such row.
    """

    def __init__(self, embeddings: Matrix) -> None:
        self._matrix = embeddings.tocsr() if sp.issparse(embeddings) else embeddings
        norms: list[np.ndarray] = []
        for start, block in iter_blocks(self._matrix, default_block_rows(self._matrix), "sample embedding"):
            norms.append(sparse_norms(block, axis=1) if sp.issparse(block) else np.linalg.norm(block, axis=1))
            if not norms[-1].all():
                raise ModalensError(
                    f"The sample in row {start + int(np.argmin(norms[-1]))} has no embedding: its values are all 0; "
                    "leave that sample out or embed it again."
                )
        self._norms = np.concatenate(norms)

    def between(self, rows: Int64[np.ndarray, "f m"]) -> Float[np.ndarray, "f p"]:
        """Cosines within sets of samples: the pairs i < j of each set, in the order of ``np.triu_indices``."""
        block = read_rows(self._matrix[rows.ravel()], 0, rows.size, "sample embedding")
        dense = block.toarray() if sp.issparse(block) else block
        sets = dense.reshape(*rows.shape, -1)
        first, second = np.triu_indices(rows.shape[1], 1)
        products = np.matmul(sets, sets.transpose(0, 2, 1))[:, first, second]
        norms = self._norms[rows]
        cosines: np.ndarray = products / (norms[:, first] * norms[:, second])
        return cosines
