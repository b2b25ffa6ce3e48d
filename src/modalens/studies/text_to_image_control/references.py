"""Reference images: files, or pictures of the pairs where nobody named any."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int
from PIL import Image

from modalens.pairs.images import FileImage

# Words of a prompt that name no kind of thing.
_NO_KIND = frozenset(
    {*["a", "an", "the", "of", "in", "on", "at", "with", "and", "or", "my", "your", "some", "me"]}
    | {*["please", "draw", "paint", "show", "picture", "image", "photo", "drawing", "sketch"]}
)


def of_the_kind(
    prompt: str, columns: Mapping[str, Sequence[Any] | np.ndarray], least: int = 2
) -> tuple[str | None, Int[np.ndarray, " k"]]:
    """Places of the pictures that are of the kind a prompt names, and the column that says so.

    Parameters
    ----------
    prompt
        Such as "Please draw an animal": the words but articles, "please", "draw" and the like are looked for.
    columns
        What is known of each picture, by name, in the order to look. Of the first column in which at least ``least``
        pictures have all words, these are taken; "animal" is in ``animal-mammal``, "horse" in "two horses".

    Returns
    -------
    tuple
        None and no place where no column has them.
    """
    wanted = _words(prompt) - _NO_KIND
    for name, values in columns.items():
        labels, distinct = pd.factorize(np.asarray(values, dtype=object))
        fits = np.array([bool(wanted) and wanted <= _words(str(each)) for each in distinct], dtype=bool)
        found = np.flatnonzero((labels >= 0) & np.append(fits, False)[labels])
        if len(found) >= least:
            return name, found
    return None, np.empty(0, dtype=np.int64)


def _words(text: str) -> set[str]:
    """Words in lower case, plurals as singulars where an s makes the difference."""
    found = re.findall(r"[^\W\d_]+", text.lower())
    return {word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] != "s" else word for word in found}


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
