"""The sources of pairs by name."""

import inspect
from typing import Any

from modalens.demo.openmoji import OpenMoji
from modalens.errors import ModalensError
from modalens.pairs.base import Pairs
from modalens.pairs.coco import CocoPairs
from modalens.pairs.folder import FolderPairs
from modalens.pairs.huggingface import HuggingFacePairs
from modalens.pairs.shards import WebDatasetPairs
from modalens.pairs.table import CsvPairs

SOURCES: dict[str, Any] = {
    "openmoji": OpenMoji,
    "folder": FolderPairs,
    "csv": CsvPairs,
    "wds": WebDatasetPairs,
    "hf": HuggingFacePairs,
    "coco": CocoPairs,
}
"""Prefix to class; each class has an ``example`` and is made from what follows the colon."""


def load_pairs(source: str, **options: Any) -> Pairs:
    """Open a source of image-text pairs.

    Parameters
    ----------
    source
        ``openmoji``, ``folder:DIR``, ``csv:FILE``, ``wds:SHARDS``, ``hf:NAME:SPLIT`` or
        ``coco:IMAGES,CAPTIONS.json``; see :class:`~modalens.demo.openmoji.OpenMoji`,
        :class:`~modalens.pairs.folder.FolderPairs`, :class:`~modalens.pairs.table.CsvPairs`,
        :class:`~modalens.pairs.shards.WebDatasetPairs`,
        :class:`~modalens.pairs.huggingface.HuggingFacePairs`, :class:`~modalens.pairs.coco.CocoPairs`.
    options
        Passed to the source's class, e.g. ``size=224`` for ``openmoji``.

    Raises
    ------
    ModalensError
        If the source is unknown, does not exist or does not take an option.
    """
    prefix, _, location = source.partition(":")
    if prefix not in SOURCES:
        examples = ", ".join(kind.example for kind in SOURCES.values())
        raise ModalensError(f"Unknown source of pairs '{source}'; the sources are, by example: {examples}.")
    kind = SOURCES[prefix]
    try:
        inspect.signature(kind).bind(location, **options)
    except TypeError as error:
        raise ModalensError(f"The source {prefix} cannot be opened with these options: {error}.") from error
    opened: Pairs = kind(location, **options)
    return opened
