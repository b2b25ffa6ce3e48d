"""Class rules: which side a feature belongs to, given its score. A new rule is a line in ``RULES``."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8

from modalens.dominance.classes import CROSS, DEAD, IMAGE, TEXT, moments
from modalens.dominance.draw_kernels import tally_classes
from modalens.errors import ModalensError

Bounds = tuple[np.ndarray, np.ndarray]

# Rounding must not tip a score that sits on a bound, since the bound itself is cross.
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class ClassRule:
    """A rule that cuts scores into classes.

    Attributes
    ----------
    about
        What it says, as a phrase.
    bounds
        From scores (d, ...) in [0, 1], NaN where there are none, to the bounds (lower, upper) of every column:
        features under the lower one belong to the second modality (text), over the upper one to the first
        (image), the bounds themselves and what lies between to both.
    marks
        What the two bounds are called in figures.
    """

    about: str
    bounds: Callable[[np.ndarray], Bounds]
    marks: tuple[str, str]


def _mu_sigma(scores: np.ndarray) -> Bounds:
    mean, std = moments(scores)
    return mean - std, mean + std


def _twofold(scores: np.ndarray) -> Bounds:
    del scores
    return np.asarray(1 / 3), np.asarray(2 / 3)


RULES: dict[str, ClassRule] = {
    "mu_sigma": ClassRule(
        "one-sided beyond one population standard deviation from the mean over live features (published)",
        _mu_sigma,
        ("\u03bc \u2212 \u03c3", "\u03bc + \u03c3"),
    ),
    "twofold": ClassRule(
        "one-sided where one side is at least twice as strong as the other on average, R > 2/3 or R < 1/3, "
        "which means the same on every model",
        _twofold,
        ("1/3", "2/3"),
    ),
}


def check_rule(rule: str) -> str:
    """The rule itself, if there is one of this name."""
    if rule not in RULES:
        raise ModalensError(f"There is no class rule {rule!r}; choose one of {', '.join(RULES)}.")
    return rule


def class_tally(
    scores: Float[np.ndarray, "d r"], rule: str
) -> tuple[Int[np.ndarray, "d 3"], Int[np.ndarray, "3 r"]]:
    """How often each class occurs, text, cross and image, by feature and by column; see :func:`class_codes`."""
    lower, upper = (
        np.broadcast_to(each, scores.shape[1:]) for each in RULES[check_rule(rule)].bounds(scores)
    )
    return tally_classes(scores, lower - _TOLERANCE, upper + _TOLERANCE)


def class_codes(scores: Float[np.ndarray, "d ..."], rule: str) -> Int8[np.ndarray, "d ..."]:
    """Class of every feature: 0 text, 1 cross, 2 image, 3 dead (no score).

    Each column is one set of scores with bounds of its own. The bounds themselves are cross.

    Parameters
    ----------
    scores
        Dominance scores in [0, 1], NaN where there is none.
    rule
        One of :data:`RULES`.
    """
    lower, upper = RULES[check_rule(rule)].bounds(scores)
    codes = np.full(scores.shape, CROSS, dtype=np.int8)
    codes[scores < lower - _TOLERANCE] = TEXT
    codes[scores > upper + _TOLERANCE] = IMAGE
    codes[np.isnan(scores)] = DEAD
    return codes
