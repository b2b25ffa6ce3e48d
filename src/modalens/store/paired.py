"""What functions of paired data take: a store, or matrices whose rows belong together."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from modalens.arrays import Matrix
from modalens.errors import InputError
from modalens.store.base import PairStore
from modalens.store.joined import JoinedStore

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


def several(data: Any) -> TypeGuard[JoinedStore | Sequence[Matrix]]:
    """Whether data are matrices of several modalities: a joined store, or a tuple or list of matrices."""
    return isinstance(data, JoinedStore | tuple | list)


def aligned(
    data: JoinedStore | Sequence[Matrix], groups: Groups = None, modalities: Sequence[str] | None = None
) -> tuple[tuple[Matrix, ...], Groups, tuple[str, ...]]:
    """Aligned matrices with their groups and modalities, which a joined store knows where nobody says them.

    Raises
    ------
    InputError
        If there are fewer than two matrices, or more than two whose modalities nobody names.
    """
    if isinstance(data, JoinedStore):
        groups = data.groups if groups is None else groups
        return data.matrices, groups, tuple(modalities or data.modalities)
    sides = tuple(data)
    if len(sides) < 2:
        raise InputError("Give two or more aligned matrices, such as (image, text, sound).")
    if modalities is None:
        if len(sides) > 2:
            raise InputError(
                f"Name the modalities of the {len(sides)} matrices, such as modalities=('image', 'text', 'sound')."
            )
        modalities = ("image", "text")
    groups = known_groups(*sides) if groups is None else groups
    return sides, groups, tuple(modalities)


def known_groups(*matrices: Matrix) -> np.ndarray | None:
    """Groups of the rows, from the first of the matrices that is a column of a store which knows them."""
    for matrix in matrices:
        if isinstance(groups := getattr(matrix, "groups", None), np.ndarray):
            return groups
    return None
