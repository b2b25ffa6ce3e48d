"""Words of captions and what kind each is, by TextBlob's tagger and word lists.

TextBlob's tagger is Brill's, of a lexicon, suffixes and contexts in plain text files that its package holds: nothing is
fetched, and nothing is unpickled.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from modalens.errors import InputError, MissingPackageError

KINDS = (
    "noun",
    "verb",
    "adjective",
    "number",
    "spatial word",
    "colour",
    "negation",
    "proper name",
    "positive tone",
    "negative tone",
)
# The basic colour terms of English (Berlin and Kay 1969).
_COLOURS = frozenset(
    ["black", "white", "red", "green", "yellow", "blue", "brown", "purple", "pink", "orange", "gray", "grey"]
)
# Prepositions of place and path (Landau and Jackendoff 1993), and nouns of parts of a scene; without at, by, in, of, on
# and to, which in captions stand for clothes, deeds and times as often as for places.
_SPATIAL = frozenset(
    re.findall(
        r"\w+",
        """
        above across against ahead along alongside amid among amongst around aside away back backward backwards behind
        below beneath beside between beyond bottom centre center down downward downwards far forward forwards front
        inside into left middle near nearby off onto opposite out outside over past right side through throughout top
        toward towards under underneath up upon upside upward upwards within
        """,
    )
)
_NEGATION = frozenset(
    ["no", "not", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "cannot"]
)
# A word has a tone from this polarity on, of -1 to 1; weaker ones say size or age (little: -.19, young: .10).
_TONE = 0.3
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+")
_MOST_WORDS = 200
_KNOWN = 0.5


@dataclass(frozen=True, eq=False)
class Captions:
    """What captions hold.

    Attributes
    ----------
    lengths
        Words of each caption, at most 200, (n,).
    kinds
        How many words of each kind a caption has, (n, kinds).
    words
        Every word in lower case, in alphabetical order, and where it stands: captions that have it.
    kind_of
        The commonest kind of each word; empty for one that is of none.
    """

    lengths: Int[np.ndarray, " n"]
    kinds: Int[np.ndarray, "n kinds"]
    words: dict[str, Int[np.ndarray, " k"]]
    kind_of: dict[str, str]

    def has(self, word: str) -> Bool[np.ndarray, " n"]:
        """Which captions have a word."""
        found = np.zeros(len(self.lengths), dtype=bool)
        found[self.words[word]] = True
        return found


def tagger() -> Any:
    """TextBlob's English module.

    Raises
    ------
    MissingPackageError
        If TextBlob is not installed.
    """
    try:
        import textblob.en
    except ImportError as error:
        raise MissingPackageError.of("The study of language", "textblob", "language") from error
    return textblob.en


def read_captions(texts: Sequence[Any] | np.ndarray) -> Captions:
    """Tag captions; what is no text has no words.

    Raises
    ------
    MissingPackageError
        If TextBlob is not installed.
    InputError
        If there are no words, or the tagger does not know half of them, so that they cannot be English.
    """
    english = tagger()
    kinds = np.zeros((len(texts), len(KINDS)), dtype=np.int64)
    lengths = np.zeros(len(texts), dtype=np.int64)
    places: dict[str, list[int]] = {}
    seen: dict[str, Counter[str]] = {}
    unknown = 0
    for row, text in enumerate(texts):
        tokens = split(text) if isinstance(text, str) else []
        lengths[row] = len(tokens)
        for token, tag in english.parser.find_tags(tokens) if tokens else ():
            word = token.lower()
            unknown += not (word in english.lexicon or word.isdecimal() or tag.startswith("NNP"))
            found = kinds_of(word, tag, english.sentiment)
            for kind in found:
                kinds[row, KINDS.index(kind)] += 1
            places.setdefault(word, []).append(row)
            seen.setdefault(word, Counter()).update(found[:1] or [""])
    total = int(lengths.sum())
    if unknown > (1 - _KNOWN) * total or not total:
        raise InputError(
            f"Of the {total:,} words of the captions the English tagger does not know {unknown:,}; the study of "
            "language takes English captions, so name the metadata column that holds them."
        )
    return Captions(
        lengths,
        kinds,
        {word: np.unique(places[word]) for word in sorted(places)},
        {word: counts.most_common(1)[0][0] for word, counts in seen.items()},
    )


def split(text: str) -> list[str]:
    """The words of a caption, at most 200; hyphens part words, and possessive endings go.

    Captions Written Like This or LIKE THIS are put in lower case, since capitals there mark no names.
    """
    tokens = [
        match.group().removesuffix("'s")
        for match in islice(_WORD.finditer(text.replace("’", "'")), _MOST_WORDS)
    ]
    capitals = [token[0].isupper() for token in tokens[1:] if token[0].isalpha()]
    if len(capitals) > 1 and np.mean(capitals) > 0.5:
        return [token.lower() for token in tokens]
    return tokens


def kinds_of(word: str, tag: str, polarity: Any) -> list[str]:
    """The kinds of a tagged word in lower case; its part of speech or list first, tone last."""
    found = []
    if word in _NEGATION or word.endswith("n't"):
        found.append("negation")
    elif word in _COLOURS:
        found.append("colour")
    elif tag == "CD" or word.isdecimal():
        found.append("number")
    elif word in _SPATIAL and not tag.startswith("VB"):
        found.append("spatial word")
    elif tag.startswith("NNP"):
        found.append("proper name")
    else:
        found += [name for start, name in _PARTS.items() if tag.startswith(start)]
    tone = polarity.get(word, {}).get(tag[:2], (0.0,))[0]
    if abs(tone) >= _TONE:
        found.append("positive tone" if tone > 0 else "negative tone")
    return found


_PARTS = {"NN": "noun", "VB": "verb", "JJ": "adjective"}
