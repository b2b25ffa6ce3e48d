"""Reference images: files, or pictures of the pairs where nobody named any."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int
from PIL import Image

from modalens.pairs.images import FileImage


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


def read_references(paths: Sequence[Path]) -> list[Image.Image]:
    """Open reference images as RGB.

    Raises
    ------
    ModalensError
        If one is missing, truncated, too large or no image.
    """
    return [FileImage(Path(path), str(path)).load() for path in paths]
