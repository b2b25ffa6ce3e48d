"""What is known of attributes that pairs can have: how values are called, and what was published of gender."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_WORD = re.compile(r"[^\W\d_]+")

# Pronouns, persons, kin and titles whose meaning holds a gender: the kinds of words that Bolukbasi et al. 2016
# ("Man is to Computer Programmer as Woman is to Homemaker?") call gender-specific. Put together for modalens.
_GENDERED_WORDS = """
    she her hers herself woman women womans female females feminine girl girls lady ladies gal gals
    madam maam ma mother mothers mom moms mommy mum mummy mama grandmother grandmothers grandma granny
    daughter daughters sister sisters aunt aunts auntie niece nieces wife wives girlfriend girlfriends
    bride brides bridesmaid bridesmaids widow queen queens princess princesses duchess empress countess
    goddess goddesses heroine actress actresses waitress hostess stewardess businesswoman businesswomen
    policewoman sportswoman spokeswoman congresswoman chairwoman saleswoman schoolgirl schoolgirls
    cowgirl mrs ms miss nun nuns witch witches mermaid mermaids pregnant breastfeeding lesbian lesbians
    he him his himself man men mans male males masculine boy boys gentleman gentlemen guy guys lad lads
    sir father fathers dad dads daddy papa grandfather grandfathers grandpa son sons brother brothers
    uncle uncles nephew nephews husband husbands boyfriend boyfriends groom grooms bridegroom groomsman
    groomsmen widower king kings prince princes duke emperor god gods hero actor actors waiter steward
    businessman businessmen policeman policemen sportsman sportsmen spokesman congressman chairman
    salesman schoolboy schoolboys cowboy cowboys fisherman fishermen mr santa monk monks merman mermen
    wizard
"""
_GENDERS = {
    **dict.fromkeys(["female", "females", "woman", "women", "girl", "girls", "lady", "ladies"], "female"),
    **dict.fromkeys(["male", "males", "man", "men", "boy", "boys", "gentleman", "gentlemen"], "male"),
}


@dataclass(frozen=True)
class PublishedChange:
    """A change of accuracy in % of the accuracy before (Multi-Faceted Monosemanticity; Beyond Cross-Modal Alignment).

    Attributes
    ----------
    input
        What is classified: ``image`` or ``text``.
    value
        Of which samples: a value of the attribute, or ``all``.
    without
        What is removed: ``image``, ``text`` or ``random``.
    change
        In %, negative where accuracy falls. The papers print sizes, of changes that they call degradations.
    """

    input: str
    value: str
    without: str
    change: float


# Second version, Table 1. They are relative: the first version's Table 6 has 0.834 -> 0.785, 0.828 and 0.815 for
# images and 0.709 -> 0.709, 0.639 and 0.699 for texts.
PUBLISHED_BY_INPUT = (
    PublishedChange("image", "all", "image", -5.87),
    PublishedChange("image", "all", "text", -0.72),
    PublishedChange("image", "all", "random", -2.28),
    PublishedChange("text", "all", "image", -0.01),
    PublishedChange("text", "all", "text", -9.87),
    PublishedChange("text", "all", "random", -1.41),
)
# Beyond Cross-Modal Alignment, Table 2.
PUBLISHED_BY_VALUE = (
    PublishedChange("image", "female", "image", -17.65),
    PublishedChange("text", "female", "text", -7.27),
    PublishedChange("image", "male", "image", -5.64),
    PublishedChange("text", "male", "text", -28.67),
)


@dataclass(frozen=True)
class Attribute:
    """Something that pairs differ in.

    Attributes
    ----------
    name
        Of the attribute, as the metadata column is called.
    aliases
        The value that a word stands for; none of them takes every label for its own value.
    words
        Words that name a value, left out of word tables.
    published
        Changes to print beside ours.
    """

    name: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    published: tuple[PublishedChange, ...] = ()

    def value_of(self, label: Any) -> str | None:
        """The value a label stands for; None for no label, for an unknown one, and for several values at once.

        With aliases, the words of the label decide (``adult-female`` is ``female``, ``man and woman`` nothing).
        Without, a label is its own value, and one with a comma names several.
        """
        text = "" if label is None or label != label else str(label).strip()
        if not self.aliases:
            return text if text and "," not in text else None
        found = {
            self.aliases[word]
            for word in _WORD.findall(text.lower().replace("_", " "))
            if word in self.aliases
        }
        return found.pop() if len(found) == 1 else None


def published_change(attribute: Attribute, modality: str, value: str, without: str) -> float:
    """The published change in % of an input and a value without a class; NaN where there is none."""
    for each in attribute.published:
        if (each.input, each.value, each.without) == (modality, value, without):
            return each.change
    return math.nan


GENDER = Attribute(
    "gender",
    _GENDERS,
    frozenset(_GENDERED_WORDS.split()),
    PUBLISHED_BY_INPUT + PUBLISHED_BY_VALUE,
)
_KNOWN = {"gender": GENDER}

# What must be known of a source before anything is concluded from its labels.
CAVEATS = {
    "openmoji": (
        "OpenMoji's labels come from the names of its drawings, so what is measured of images is a way of drawing (for "
        "gender mostly hair), and of texts a word that says the label outright; it is nothing about people."
    )
}


def attribute_named(name: str) -> Attribute:
    """The attribute of a metadata column: ``gender`` with its words and published values, else a plain one."""
    return _KNOWN.get(name) or Attribute(name)
