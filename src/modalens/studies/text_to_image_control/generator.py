"""What a generator promises: pictures from embeddings."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from modalens.arrays import Matrix, matrix_shape, read_rows
from modalens.errors import ModalensError


class Generator(ABC):
    """Draws pictures from embeddings of ``dim`` features."""

    name: str
    """What it is called in tables and figures."""
    dim: int
    """Features of the embeddings it takes."""

    @abstractmethod
    def generate(self, embedding: Float[np.ndarray, "n d"], seed: int = 0) -> list[Image.Image]:
        """Draw one RGB picture a row.

        A picture depends on its own row and the seed alone, not on the rows beside it, so that pictures
        of one seed differ by what their embeddings differ in.

        Parameters
        ----------
        embedding
            Embeddings, (n, d); their length does not matter.
        seed
            Of whatever is drawn at random; one seed gives one picture.

        Raises
        ------
        ModalensError
            If the embeddings are not of this generator's space, or a value is NaN or infinite.
        """

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """What a report records: where the pictures come from, how good they are, and their terms."""


def unit_embeddings(embedding: Matrix, dim: int, name: str) -> Float[np.ndarray, "n d"]:
    """Unit vectors in float64; a zero row stays zero.

    Raises
    ------
    ModalensError
        If there is no row, the width is not ``dim``, or a value is NaN or infinite.
    """
    rows, columns = matrix_shape(embedding, "The embedding matrix")
    if columns != dim:
        raise ModalensError(
            f"The generator {name} draws from embeddings of {dim} features, not {columns}; embed with the "
            "model it belongs to."
        )
    values = read_rows(embedding, 0, rows, "embedding")
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    unit: np.ndarray = values / np.where(norms > 0, norms, 1.0)
    return unit
