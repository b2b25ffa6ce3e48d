"""A generator that needs no training: it shows the picture whose embedding is nearest."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from modalens.arrays import Matrix, iter_blocks, matrix_shape, normalize_rows
from modalens.errors import ModalensError
from modalens.studies.text_to_image_control.generator import Generator, unit_embeddings
from modalens.towers.base import VLM

logger = logging.getLogger(__name__)


class RetrievalGenerator(Generator):
    """Shows, for each embedding, the picture of a collection that is nearest by cosine.

    Nothing is drawn, so what it shows is always a real picture; the seed changes nothing.

    Parameters
    ----------
    images
        Image embeddings of the collection, (n, d): an array or a store's lazy column, read in blocks.
    load
        Gives the picture of a row of ``images``.
    source
        What the collection is, for the card.

    Raises
    ------
    ModalensError
        If ``images`` is empty or not a matrix.
    """

    name = "retrieval"

    def __init__(self, images: Matrix, load: Callable[[int], Image.Image], source: str = "") -> None:
        self.size, self.dim = matrix_shape(images, "The image embeddings")
        self._images = images
        self._load = load
        self._source = source

    @classmethod
    def from_pictures(cls, images: Matrix, pictures: Sequence[Image.Image], source: str = "") -> "Generator":
        """Show pictures held in memory, one a row of ``images``.

        Raises
        ------
        ModalensError
            If there is not one picture a row.
        """
        generator = cls(images, pictures.__getitem__, source)
        if len(pictures) != generator.size:
            raise ModalensError(
                f"There are {len(pictures)} pictures for {generator.size} embeddings; give one a row."
            )
        return generator

    def nearest(self, embedding: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        """Row of the nearest image of each embedding by cosine; of two equally near, the first."""
        queries = unit_embeddings(embedding, self.dim, self.name)
        best = np.full(len(queries), -np.inf)
        rows = np.zeros(len(queries), dtype=np.int64)
        for start, block in iter_blocks(self._images, name="image"):
            similar = np.asarray((normalize_rows(block)[0] @ queries.T).T)
            found = similar.argmax(axis=1)
            value = similar[np.arange(len(queries)), found]
            nearer = value > best
            best[nearer], rows[nearer] = value[nearer], start + found[nearer]
        return rows

    def generate(self, embedding: Float[np.ndarray, "n d"], seed: int = 0) -> list[Image.Image]:
        """Show the nearest picture of each embedding; the seed changes nothing."""
        del seed
        return [self._load(int(row)) for row in self.nearest(embedding)]

    def card(self) -> dict[str, Any]:
        """How many pictures there are, and from where."""
        return {"generator": self.name, "pictures": self.size, "dim": self.dim, "source": self._source}


def generator_of(vlm: VLM, images: Matrix, load: Callable[[int], Image.Image], source: str = "") -> Generator:
    """The generator trained on an encoder's embeddings if there is one, else one that retrieves.

    Parameters
    ----------
    vlm
        The encoder.
    images, load, source
        Image embeddings of a collection (n, d), their pictures by row and what the collection is: what is
        retrieved from. Leave reference images out of it, or they are found instead of anything drawn.
    """
    generator: Generator | None = vlm.generator()
    if generator is not None:
        return generator
    logger.info("There is no generator trained on the embeddings of %s; pictures are retrieved.", vlm.name)
    return RetrievalGenerator(images, load, source)
