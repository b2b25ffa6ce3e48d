"""The classes that features fall into, and their names."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from modalens.dominance.draw_kernels import column_moments
from modalens.errors import ModalensError

TEXT, CROSS, IMAGE, DEAD = range(4)


def class_names(modalities: Sequence[str]) -> tuple[str, str, str, str]:
    """Labels in the order of the class codes: second modality, cross, first modality, dead.

    Raises
    ------
    ModalensError
        If the modalities are not two distinct names, or one takes the name of a class.
    """
    names = tuple(modalities)
    if len(names) != 2 or not all(isinstance(name, str) and name for name in names) or names[0] == names[1]:
        raise ModalensError(
            f"modalities must be two different names, such as ('image', 'text'), not {modalities!r}."
        )
    if {"cross", "dead"} & set(names):
        raise ModalensError("A modality cannot be called 'cross' or 'dead': these names stand for classes.")
    return names[1], "cross", names[0], "dead"


def check_modalities(modalities: Sequence[str]) -> tuple[str, str]:
    """The two names themselves, if classes can be called by them; see :func:`class_names`."""
    names = class_names(modalities)
    return names[IMAGE], names[TEXT]


def moments(scores: Float[np.ndarray, "d ..."]) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Mean and population standard deviation over the features that have a score, per column.

    Returns NaN for a column without any.
    """
    mean, std = column_moments(scores.reshape(len(scores), -1))
    return mean.reshape(scores.shape[1:]), std.reshape(scores.shape[1:])
