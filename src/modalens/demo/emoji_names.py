"""What an emoji's English name says: what it shows, of which gender and skin tone.

The ``emoji`` package writes names with underscores and without Unicode's punctuation, for instance
``:man_medium-dark_skin_tone_red_hair:`` or ``:kiss_woman_man_dark_skin_tone_light_skin_tone:``.
"""

import re
from dataclasses import dataclass

_TONE = re.compile(r" ?\b(light|medium-light|medium|medium-dark|dark) skin tone\b")
_GROUP = re.compile(r"(family|kiss|couple with heart)((?: (?:man|woman|person|adult|boy|girl|child))+)")
_HAIR = re.compile(r"(man|woman|person) (beard|\S+ hair)")
_BALD = re.compile(r"(man|woman|person) bald")

# Matched with case: the Isle of Man is not a man.
_MAN = re.compile(r"\b(man|men|boy|prince|merman|male|Santa)\b")
_WOMAN = re.compile(r"\b(woman|women|girl|princess|mermaid|female|Mrs)\b")

# Names whose gender is not a word that could be replaced or left out.
_CONCEPTS = {
    "prince": "person with crown",
    "princess": "person with crown",
    "mermaid": "merperson",
    "merman": "merperson",
    "Santa Claus": "Claus",
    "Mrs. Claus": "Claus",
    "Mx Claus": "Claus",
    "men’s room": "restroom",
    "women’s room": "restroom",
    "male sign": "gender sign",
    "female sign": "gender sign",
    "older person": "old person",
}
_NEUTRAL = (
    (r"\b(?:wo)?man’s ", ""),
    (r"^(family|kiss|couple with heart): .*", r"\1"),
    (r"\b(?:wo)?man and (?:wo)?man\b", "people"),
    (r"\b(?:wo)?man\b", "person"),
    (r"\b(?:wo)?men\b", "people"),
    (r"\b(?:boy|girl)\b", "child"),
    # A profession needs no person ("astronaut"), an action or a trait does ("person running").
    (r"^person (?!in |with |\S+ing\b)", ""),
)


@dataclass(frozen=True)
class EmojiName:
    """An emoji's name, taken apart.

    Parameters
    ----------
    text
        The whole name in plain English, e.g. ``woman astronaut: medium skin tone``.
    concept
        What is shown once gender and skin tone are left out, e.g. ``astronaut``.
    gender
        ``man``, ``woman``, ``mixed`` where both are named, else ``neutral``. A thing named after a gender
        (``woman’s boot``, ``men’s room``, ``male sign``) has that gender.
    skin_tone
        ``light``, ``medium-light``, ``medium``, ``medium-dark`` or ``dark``; several in the order of the
        name, joined by a comma; empty when the name has none.
    """

    text: str
    concept: str
    gender: str
    skin_tone: str


def parse_emoji_name(name: str) -> EmojiName:
    """Take the ``emoji`` package's English name of an emoji apart.

    Parameters
    ----------
    name
        As in ``emoji.EMOJI_DATA``, e.g. ``:woman_astronaut_medium_skin_tone:``.
    """
    plain = name.strip(":").replace("_", " ")
    tones = _TONE.findall(plain)
    shown = _punctuate(_TONE.sub("", plain).strip())
    if not shown:  # the bare skin tone swatches
        return EmojiName(plain, "skin tone", "neutral", ",".join(tones))
    text = f"{shown}: {', '.join(f'{tone} skin tone' for tone in tones)}" if tones else shown
    return EmojiName(text, _concept(shown), _gender(shown), ",".join(tones))


def _punctuate(name: str) -> str:
    if group := _GROUP.fullmatch(name):
        return f"{group[1]}: {', '.join(group[2].split())}"
    if hair := _HAIR.fullmatch(name):
        return f"{hair[1]} with {hair[2]}"
    if bald := _BALD.fullmatch(name):
        return f"bald {bald[1]}"
    return name


def _gender(name: str) -> str:
    man, woman = bool(_MAN.search(name)), bool(_WOMAN.search(name))
    if man and woman:
        return "mixed"
    return "man" if man else "woman" if woman else "neutral"


def _concept(name: str) -> str:
    if name in _CONCEPTS:
        return _CONCEPTS[name]
    for pattern, replacement in _NEUTRAL:
        name = re.sub(pattern, replacement, name)
    return name
