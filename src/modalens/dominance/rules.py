"""Class rules: which side a feature belongs to, given its score. A new rule is a line in ``RULES``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8

from modalens.dominance.classes import CROSS, DEAD, IMAGE, TEXT, moments
from modalens.dominance.draw_kernels import tally_classes
from modalens.errors import ModalensError

Bounds = tuple[np.ndarray, np.ndarray]

# Rounding must not tip a score that sits on a bound, since the bound itself is cross: that of scores, and of draws in
# single precision.
_TOLERANCE, _TOLERANCE_OF_DRAWS = 1e-12, 1e-6


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
    carriers
        The same for any number of modalities: from shares (m, d, ...) to which modalities carry each feature. A feature
        that all carry, or none does, is shared. None for a rule of two modalities alone.
    """

    about: str
    bounds: Callable[[np.ndarray], Bounds]
    marks: tuple[str, str]
    carriers: Callable[[np.ndarray], np.ndarray] | None = None


def _mu_sigma(scores: np.ndarray) -> Bounds:
    mean, std = moments(scores)
    return mean - std, mean + std


def _twofold(scores: np.ndarray) -> Bounds:
    del scores
    return np.asarray(1 / 3), np.asarray(2 / 3)


def _mu_sigma_carriers(shares: np.ndarray) -> np.ndarray:
    uppers = [mean + std for mean, std in map(moments, shares)]
    above: np.ndarray = shares > np.stack(uppers)[:, None] + _TOLERANCE
    return above


def _twofold_carriers(shares: np.ndarray) -> np.ndarray:
    carried: np.ndarray = 2 * shares >= shares.max(axis=0) - _TOLERANCE
    return carried


RULES: dict[str, ClassRule] = {
    "mu_sigma": ClassRule(
        "one-sided beyond one population standard deviation from the mean over live features (published)",
        _mu_sigma,
        ("\u03bc \u2212 \u03c3", "\u03bc + \u03c3"),
        _mu_sigma_carriers,
    ),
    "twofold": ClassRule(
        "one-sided where the share of one side is at least twice the other's, R > 2/3 or R < 1/3, "
        "which means the same on every model",
        _twofold,
        ("1/3", "2/3"),
        _twofold_carriers,
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
    tolerance = _tolerance(scores)
    return tally_classes(scores, lower - tolerance, upper + tolerance)


def rules_of_several() -> list[str]:
    """Names of the rules that hold for any number of modalities."""
    return [name for name, rule in RULES.items() if rule.carriers is not None]


def class_masks(shares: Float[np.ndarray, "m d ..."], rule: str) -> Int[np.ndarray, "d ..."]:
    """Class of every feature of several modalities: a bit for each modality that carries it, 0 for dead features.

    A modality carries a feature under ``twofold`` where none is more than twice as strong, and under ``mu_sigma`` where
    its share lies more than a standard deviation over its mean share. With two modalities these are the rules of
    :func:`class_codes`.

    Parameters
    ----------
    shares
        Share of each modality, in [0, 1]; NaN where a feature has none. Each further axis is one set of shares.
    rule
        One of :data:`RULES`.

    Raises
    ------
    ModalensError
        If the rule is for two modalities alone.
    """
    carriers = RULES[check_rule(rule)].carriers
    if carriers is None:
        raise ModalensError(
            f"The class rule {rule} is for two modalities; choose one of {', '.join(rules_of_several())}."
        )
    carried = carriers(shares)
    bits = 2 ** np.arange(len(shares))
    masks: np.ndarray = np.tensordot(bits, carried, axes=1)
    masks[masks == 0] = bits.sum()
    masks[np.isnan(shares[0])] = 0
    return masks


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
    tolerance = _tolerance(scores)
    codes = np.full(scores.shape, CROSS, dtype=np.int8)
    codes[scores < lower - tolerance] = TEXT
    codes[scores > upper + tolerance] = IMAGE
    codes[np.isnan(scores)] = DEAD
    return codes


def _tolerance(scores: np.ndarray) -> float:
    return _TOLERANCE_OF_DRAWS if scores.dtype == np.float32 else _TOLERANCE


def indices_of(labels: np.ndarray, classes: Sequence[str], label: str) -> Int[np.ndarray, " k"]:
    """Sorted indices of the features of one class.

    Raises
    ------
    ModalensError
        If there is no such class.
    """
    if label not in classes:
        raise ModalensError(f"There is no class {label!r}; choose one of {', '.join(classes)}.")
    return np.flatnonzero(labels == label)
