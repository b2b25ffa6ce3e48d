"""What functions of paired data take: a store, or two matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from modalens.arrays import Matrix
from modalens.errors import InputError
from modalens.store.base import PairStore

Groups = Sequence[Any] | np.ndarray | None


def paired(
    image: PairStore | Matrix,
    text: Matrix | None,
    groups: Groups = None,
    modalities: tuple[str, str] | None = None,
) -> tuple[Matrix, Matrix, Groups, tuple[str, str]]:
    """Both matrices with their groups and modalities, which a store knows where nobody says them.

    Raises
    ------
    InputError
        If there is neither a store nor a second matrix, or both.
    """
    if isinstance(image, PairStore):
        if text is not None:
            raise InputError("A store holds both sides; give it alone, or two matrices.")
        groups = image.groups if groups is None else groups
        return image.image, image.text, groups, modalities or image.modalities
    if text is None:
        raise InputError("Give a store, or two paired matrices (image, text).")
    groups = known_groups(image, text) if groups is None else groups
    return image, text, groups, modalities or ("image", "text")


def known_groups(*matrices: Matrix) -> np.ndarray | None:
    """Groups of the rows, from the first of the matrices that is a column of a store which knows them."""
    for matrix in matrices:
        if isinstance(groups := getattr(matrix, "groups", None), np.ndarray):
            return groups
    return None
