"""How classes, modalities and numbers are written for people."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modalens.dominance.result import Dominance
from modalens.pairs.modality import MODALITIES, many
from modalens.studies.stats.sentences import capitalised as capitalised

METRICS = {
    "l2m_unbiased": "L2M",
    "l2m": "L2M, as published",
    "l2i": "L2I",
    "rmg": "RMG",
    "separability": "Separability",
}
# In the order of the class codes of modalens.dominance.classes.
ROLES = ("second", "cross", "first", "dead")
NULL_NAME = "Labels swapped"
NOTHING = "—"
_ADJECTIVES = {"image": "visual", "text": "textual"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Naming:
    """Names of the four classes for one couple of modalities.

    A *role* is a class apart from its name: ``first`` for features that the first modality drives (R near
    1), ``second`` (R near 0), ``cross`` and ``dead``. Colours and table columns go by role, so that
    audio-text pairs read as well as image-text ones.
    """

    first: str
    second: str

    def label(self, role: str) -> str:
        """The label that :class:`modalens.dominance.Dominance` uses for a role."""
        return {"first": self.first, "second": self.second}.get(role, role)

    def short(self, role: str) -> str:
        """Class name as the papers write it: ImgD, TextD, CrossD."""
        name = self.label(role)
        if role == "dead":
            return "Dead"
        return ("Img" if name == "image" else capitalised(name)) + "D"

    def one(self, name: str) -> str:
        """What one sample of a modality is called: image, text, sound."""
        return MODALITIES[name].singular if name in MODALITIES else name

    def many(self, name: str) -> str:
        """What samples of a modality are called: images, texts, sounds."""
        return many(name)

    def side(self, side: str) -> str:
        """The modality of a side, where results call the first side image and the second text whatever they are."""
        return {"image": self.first, "text": self.second}[side]

    def adjective(self, name: str) -> str:
        """What fidelity in a modality is called: visual, textual; others go by their names."""
        return adjective(name)

    def long(self, role: str) -> str:
        """Class name in words."""
        if role in ("first", "second"):
            return f"{self.label(role)}-dominant"
        return "cross-modal" if role == "cross" else "dead"


def adjective(modality: str) -> str:
    """What fidelity in a modality is called: visual, textual; others go by their names."""
    return _ADJECTIVES.get(modality, modality)


def begun(text: str) -> str:
    """The text as it begins a sentence: a model's own name stays as it is written."""
    return capitalised(text) if text.startswith("the ") else text


def number(value: float | None, digits: int = 3) -> str:
    """A number with fixed decimals; an em dash for what is not known."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # no zero has a sign


def interval(low: float, high: float, digits: int = 3) -> str:
    """An interval, or an em dash if it was not computed."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOTHING
    return f"{number(low, digits)} to {number(high, digits)}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share in [0, 1] as a percentage."""
    return NOTHING if share is None or not math.isfinite(share) else f"{number(100 * share, digits)}\u00a0%"


def halves(number: float) -> str:
    """So many features with the verdict split: 1 half of a split concept, 12 halves of split concepts."""
    return f"{count(number)} {'half of a split concept' if number == 1 else 'halves of split concepts'}"


def are_halves(number: float) -> str:
    """The same as what is said of features: 1 is half of a split concept, 12 are halves of split concepts."""
    return f"{count(number)} {'is' if number == 1 else 'are'} {halves(number).partition(' ')[2]}"


def tied(ties: int, of: int | None = None) -> str:
    """How many queries, of so many, have a wrong candidate as near as the right one, as the end of a sentence."""
    number = count(ties) if of is None else f"{count(ties)} of {count(of)}"
    queries = "query" if max(ties, of or 0) == 1 else "queries"
    have, these = ("has", "it counts") if ties == 1 else ("have", "these count")
    return f"{number} {queries} {have} a wrong candidate as near as the right one; {these} as missed."


def typeset(text: str) -> str:
    """A sentence as the page writes it: true minus signs, none before zeros, and a space before %."""
    text = re.sub(r"(?<![\w-])-(?=\d)", "−", text)
    text = re.sub(r"[−+](?=0\.0+(?!\.?\d))", "", text)
    return re.sub(r"(?<=\d)%", "\u00a0%", text)


def small(value: float | None, digits: int = 3) -> str:
    """A number that may be tiny beside its decimals, such as chance: with two digits that say something, 0.05."""
    if value is None or not math.isfinite(value) or value == 0:
        return number(value, digits)
    if (needed := 1 - math.floor(math.log10(abs(value)))) <= digits:
        return number(value, digits)
    return number(value, needed).rstrip("0")


def count(value: float) -> str:
    """A count with thousands separated; means of counts keep one decimal below ten."""
    if not math.isfinite(value):
        return NOTHING
    if value != round(value) and value < 10:
        return f"{value:.1f}"
    return f"{round(value):,}"


def counted_groups(found: Dominance) -> str:
    """The groups of the pairs in words, as in "in 3 groups (as good as 2 of equal size)"; empty without groups."""
    if found.groups == found.n_pairs:
        return ""
    return (
        f"in {count(found.groups)} groups (as good as {count(round(found.effective_groups))} of equal size)"
    )


def number_word(value: int) -> str:
    """A small number in letters."""
    return _NUMBERS[value] if value < len(_NUMBERS) else str(value)


def listing(parts: Sequence[str]) -> str:
    """Join as a sentence does: a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
