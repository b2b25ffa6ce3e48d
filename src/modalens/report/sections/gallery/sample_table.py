"""The samples that a page shows, each preview and text once, with an index of their words."""

import re
import unicodedata
from typing import Any

from modalens.errors import ModalensError
from modalens.report.cards import Samples
from modalens.report.media import data_url


def words_of(text: str) -> set[str]:
    """Words of a text as the search knows them: runs of letters, digits and underscores, in lower case.

    The page's script splits what a reader types in the same way.
    """
    return set(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


class SampleTable:
    """The samples that cards list: each id, text and preview once, spoken of by its place."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._places: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._previews: dict[bytes, int] = {}
        self._urls: list[str] = []
        self._text_of: list[int] = []
        self._preview_of: list[int] = []
        self._searched: set[int] = set()

    def shown(self, sample_id: str) -> int:
        """Place of a sample that is shown by its picture, or played."""
        place = self._place(sample_id)
        preview = self._samples[sample_id][0]
        if preview is not None and preview not in self._previews:
            self._previews[preview] = len(self._previews)
            self._urls.append(data_url(preview, sample_id))
        self._preview_of[place] = -1 if preview is None else self._previews[preview]
        return place

    def read(self, sample_id: str) -> int:
        """Place of a sample that is read, and found, by its text."""
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
            "previewOf": self._preview_of,
            "texts": list(self._texts),
            "previews": self._urls,
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
            self._preview_of.append(-1)
        return self._places[sample_id]
