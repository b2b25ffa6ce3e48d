"""Which side a feature belongs to, given its score: the two class rules."""

import numpy as np
from jaxtyping import Float, Int8

from modalens.errors import ModalensError

RULES = ("mu_sigma", "twofold")
PUBLISHED_RULE = "mu_sigma"
TEXT, CROSS, IMAGE, DEAD = range(4)

# Rounding must not tip a score that sits on a bound, since the bound itself is cross.
_TOLERANCE = 1e-12


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


def check_rule(rule: str) -> str:
    """The rule itself, if there is one of this name."""
    if rule not in RULES:
        raise ModalensError(f"There is no class rule {rule!r}; choose one of {', '.join(RULES)}.")
    return rule


def moments(scores: Float[np.ndarray, "d ..."]) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Mean and population standard deviation over the features that have a score, per column.

    Returns NaN for a column without any.
    """
    live = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        count = live.sum(axis=0)
        mean = np.where(live, scores, 0.0).sum(axis=0) / count
        variance = np.where(live, (scores - mean) ** 2, 0.0).sum(axis=0) / count
    return mean, np.sqrt(variance)


def class_codes(scores: Float[np.ndarray, "d ..."], rule: str) -> Int8[np.ndarray, "d ..."]:
    """Class of every feature: 0 text, 1 cross, 2 image, 3 dead (no score).

    Each column is one set of scores with bounds of its own. The bounds themselves are cross.

    Parameters
    ----------
    scores
        Dominance scores in [0, 1], NaN where there is none.
    rule
        ``mu_sigma``: one-sided beyond one population standard deviation from the mean over live features
        (the published rule). ``twofold``: one-sided where one side is at least twice as strong as the other
        on average, R > 2/3 or R < 1/3, which means the same on every model.
    """
    if check_rule(rule) == "mu_sigma":
        mean, std = moments(scores)
        lower, upper = mean - std, mean + std
    else:
        lower, upper = np.float64(1 / 3), np.float64(2 / 3)
    codes = np.full(scores.shape, CROSS, dtype=np.int8)
    codes[scores < lower - _TOLERANCE] = TEXT
    codes[scores > upper + _TOLERANCE] = IMAGE
    codes[np.isnan(scores)] = DEAD
    return codes
