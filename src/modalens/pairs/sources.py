"""The sources of pairs by name."""

import inspect
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from modalens.errors import InputError
from modalens.pairs.base import Pairs
from modalens.redaction import has_credentials, redacted

SOURCES: Mapping[str, str] = {
    "openmoji": "modalens.demo.openmoji:OpenMoji",
    "folder": "modalens.pairs.folder:FolderPairs",
    "csv": "modalens.pairs.table:CsvPairs",
    "wds": "modalens.pairs.shards:WebDatasetPairs",
    "hf": "modalens.pairs.huggingface:HuggingFacePairs",
    "coco": "modalens.pairs.coco:CocoPairs",
}
"""Prefix to class, by a name that is imported when it is used; a class is made from what follows the colon."""


def examples() -> str:
    """An example of every source, in one line."""
    return ", ".join(_class_of(known).example for known in SOURCES)


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
        raise InputError(f"Unknown source of pairs '{source}'; the sources are, by example: {examples()}.")
    kind = _class_of(prefix)
    try:
        inspect.signature(kind).bind(location, **options)
    except TypeError as error:
        raise InputError(f"The source {prefix} cannot be opened with these options: {error}.") from error
    if has_credentials(location):
        raise InputError(
            f"The source {redacted(source)} has a password in its address, which would be kept with what is made of "
            "it; put it into fsspec's settings (~/.config/fsspec) instead."
        )
    opened: Pairs = kind(location, **options)
    return opened


def _class_of(prefix: str) -> Any:
    return resolve_name(SOURCES[prefix])
