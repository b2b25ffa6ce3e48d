"""The classes that features fall into, and their names."""

import numpy as np
from jaxtyping import Float

from modalens.errors import ModalensError
from modalens.statistics.buckets import feature_blocks, sum_blocks

TEXT, CROSS, IMAGE, DEAD = range(4)


def class_names(modalities: tuple[str, str]) -> tuple[str, str, str, str]:
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


def check_modalities(modalities: tuple[str, str]) -> tuple[str, str]:
    """The two names themselves, if classes can be called by them; see :func:`class_names`."""
    names = class_names(modalities)
    return names[IMAGE], names[TEXT]


def moments(scores: Float[np.ndarray, "d ..."]) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Mean and population standard deviation over the features that have a score, per column.

    Returns NaN for a column without any.
    """
    blocks = list(feature_blocks(len(scores), max(1, scores[:1].size)))
    with np.errstate(invalid="ignore"):
        count = sum((~np.isnan(scores[here])).sum(axis=0) for here in blocks)
        mean = sum_blocks(_live(scores[here]) for here in blocks) / count
        variance = sum_blocks(_live((scores[here] - mean) ** 2) for here in blocks) / count
    return mean, np.sqrt(variance)


def _live(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), 0.0, values)
