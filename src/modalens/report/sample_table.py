"""The samples that a page shows, each picture and text once, with an index of their words."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeAlias

from modalens.errors import ModalensError
from modalens.report.data import Sample
from modalens.report.views import data_uri

# Sample id: (bytes of its picture, or None where there is none to show; its text). Ids may share a picture.
Samples: TypeAlias = Mapping[str, tuple[bytes | None, str]]


def words_of(text: str) -> set[str]:
    """Words of a text as the search knows them: runs of letters, digits and underscores, in lower case.

    The page's script splits what a reader types in the same way.
    """
    return set(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


class SampleTable:
    """The samples that cards list: each id, text and picture once, spoken of by its place."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._places: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._pictures: dict[bytes, int] = {}
        self._uris: list[str] = []
        self._text_of: list[int] = []
        self._picture_of: list[int] = []
        self._searched: set[int] = set()

    def picture(self, sample_id: str) -> int:
        """Place of a sample that is shown by its picture."""
        place = self._place(sample_id)
        picture = self._samples[sample_id][0]
        if picture is not None and picture not in self._pictures:
            self._pictures[picture] = len(self._pictures)
            self._uris.append(data_uri(Sample(sample_id, picture, "")))
        self._picture_of[place] = -1 if picture is None else self._pictures[picture]
        return place

    def text(self, sample_id: str) -> int:
        """Place of a sample that is shown, and found, by its text."""
        place = self._place(sample_id)
        self._searched.add(self._text_of[place])
        return place

    def packed(self) -> dict[str, Any]:
        """The tables, and for every word the texts that hold it, words in alphabetical order."""
        index: dict[str, list[int]] = {}
        for text, place in self._texts.items():
            for word in words_of(text) if place in self._searched else ():
                index.setdefault(word, []).append(place)
        words = sorted(index)
        return {
            "ids": list(self._places),
            "textOf": self._text_of,
            "pictureOf": self._picture_of,
            "texts": list(self._texts),
            "pictures": self._uris,
            "words": words,
            "textsWith": [index[word] for word in words],
        }

    def _place(self, sample_id: str) -> int:
        if sample_id not in self._places:
            if sample_id not in self._samples:
                raise ModalensError(
                    f"A card lists the sample {sample_id!r}, which is not among the samples given."
                )
            text = self._samples[sample_id][1]
            self._places[sample_id] = len(self._places)
            self._text_of.append(self._texts.setdefault(text, len(self._texts)))
            self._picture_of.append(-1)
        return self._places[sample_id]
