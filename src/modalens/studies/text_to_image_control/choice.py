"""Which generator draws for an encoder, and towards which pictures, where nobody said."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int
from PIL import Image

from modalens.arrays import Matrix
from modalens.studies.text_to_image_control.generator import Generator
from modalens.studies.text_to_image_control.retrieval import RetrievalGenerator
from modalens.towers.base import VLM

logger = logging.getLogger(__name__)


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


def choose_references(
    kinds: Sequence[Any] | np.ndarray, count: int = 8, seed: int = 0
) -> Int[np.ndarray, " k"]:
    """Places of pictures of as many kinds as there are, drawn at random; sorted.

    Parameters
    ----------
    kinds
        A label a picture, such as its category.
    count
        How many pictures to choose; all where there are fewer.
    seed
        Of the draw.
    """
    generator = np.random.default_rng(seed)
    labels, names = pd.factorize(np.asarray(kinds, dtype=object), use_na_sentinel=False)
    # First one of each kind, then a second of each, ...
    order = generator.permutation(len(labels))
    turn = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    first = generator.permutation(len(names))[labels[order]]
    chosen: np.ndarray = np.sort(order[np.lexsort((first, turn))][:count])
    return chosen
