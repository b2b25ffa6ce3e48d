"""Phrases in which every study reports a test."""

from modalens.statistics.controls import LEVEL, POWER

CORRECTED = (
    "q is p corrected for the {} tests of the table (Benjamini-Hochberg); a sentence goes by q under 0.05."
)


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
