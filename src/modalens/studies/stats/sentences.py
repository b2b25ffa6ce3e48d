"""Phrases in which every study reports a test."""

from collections.abc import Mapping
from typing import Any

from modalens.statistics.controls import LEVEL, POWER

# What sentences call the two kinds of random sets, by the end of their columns.
CONTROLS = {"": "equal number", "_energy": "equal energy"}

CORRECTED = (
    "q is p corrected for the {} tests of the table (Benjamini-Hochberg); a sentence goes by q under 0.05."
)

BEYOND_CHANCE = (
    "Tests are of accuracy beyond chance: right answers less the share of samples that have the label "
    "answered."
)

_FINDS_NONE = f"with so few, a test at {LEVEL:g} finds no difference that there can be with power {POWER:g}"


def capitalised(text: str) -> str:
    """The text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def counted_features(number: int, label: str) -> str:
    """So many features of a class: 1 text feature, 14 image features."""
    return f"{number:,} {label} {'feature' if number == 1 else 'features'}"


def q_words(q: float) -> str:
    """A corrected p-value; "no test" where there is none."""
    if q != q:
        return "no test"
    return "q < 0.001" if q < 0.0005 else f"q = {q:.3f}"


def power_words(effect: str) -> str:
    """What "no difference" is worth: the smallest difference that one test would have found.

    Parameters
    ----------
    effect
        The smallest detectable effect (see :class:`~modalens.statistics.controls.AgainstRandom`), as sentences print
        it.
    """
    return f"a test at {LEVEL:g} finds a difference of {effect} with power {POWER:g}"


def beside_controls(
    row: Mapping[Any, Any], lower: str, higher: str, form: str, most: float = 1
) -> dict[str, str]:
    """How a set differs from random sets of each kind, by what is said: "is not told from", or one of two verbs.

    Parameters
    ----------
    row
        With the columns ``difference``, ``q`` and ``detectable``, and the same with the ends of :data:`CONTROLS`. A
        control without a test is left out.
    lower, higher
        The verb where the difference is under or over 0, such as "carries more than".
    form
        How effects are printed, such as "{:.3f}".
    most
        The largest difference that there can be, 1 for shares: where a test would need more, it can find none.
    """
    found: dict[str, list[str]] = {}
    for end, name in CONTROLS.items():
        q = row[f"q{end}"]
        if q != q:
            continue
        if not q < LEVEL:
            effect = row[f"detectable{end}"]
            power = _FINDS_NONE if effect > most else power_words(form.format(effect))
            said, name = "is not told from", f"{name} ({power})"
        else:
            said = lower if row[f"difference{end}"] < 0 else higher
        found.setdefault(said, []).append(name)
    return {said: " or of ".join(names) for said, names in found.items()}


def class_words(found: Mapping[str, str]) -> str:
    """What :func:`beside_controls` found of a class, as a sentence without its full stop."""
    if not found:
        return "no test of the class could be made"
    return f"the class {', but '.join(f'{said} random features of {names}' for said, names in found.items())}"
