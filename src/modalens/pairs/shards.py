"""Images and captions in WebDataset tar shards, on this machine's disk or behind a URL."""

import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from modalens.errors import InputError, ModalensError
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.pairs.images import BytesImage
from modalens.pairs.locations import expand_shards, name_shards
from modalens.pairs.remote import RemoteFile, is_url, public_url
from modalens.pairs.text import UnusableError, clean_caption, decode_caption, escape_name

Sample = dict[str, Any]  # suffix -> bytes, and WebDataset's own "__key__" and "__url__"

_IMAGE_PARTS = ("jpg", "jpeg", "png", "webp")
_CAPTION_FIELDS = ("caption", "text")
_T = TypeVar("_T", bound=tarfile.TarInfo)


class WebDatasetPairs(Pairs):
    """The samples of WebDataset shards, streamed in the order in which they lie there.

    A sample is the run of files that share a name up to the first dot. Its image is the part ``jpg``,
    ``jpeg``, ``png`` or ``webp``; its caption the part ``txt``, else the field ``caption`` or ``text`` of
    the part ``json``, where a list holds several captions of the one image. The other plain fields of the
    ``json`` become labels. No other part is ever decoded, least of all a pickled one.

    A pair's id is ``SHARD/KEY``, followed by ``#0``, ``#1``, ... where the caption is a list of several;
    SHARD is the file's name without suffix, or its path below the shards' common folder where two shards
    have one name.

    Parameters
    ----------
    location
        Paths or URLs (``s3://``, ``https://``, whatever fsspec knows) of shards, with braces
        (``data/{0000..0012}.tar``) or wildcards (``data/*.tar``), plain or compressed; several patterns are
        joined by ``::``. A read behind a URL that fails is repeated. The location is kept in the manifests
        of what is made of it, so credentials belong into fsspec's settings.

    Attributes
    ----------
    retries : int
        Reads that failed and were repeated since the source was opened.

    Raises
    ------
    ModalensError
        If the pattern is malformed, or a shard does not exist (behind URLs, the first or the last of a
        pattern); while walking, if a shard is damaged or cut short, naming it and the place, or stays out
        of reach.
    """

    example = "wds:shards/{0000..0012}.tar"

    def __init__(self, location: str) -> None:
        self.name = f"wds:{location}"
        self.shards = expand_shards(location)
        self._shard_names = name_shards(self.shards)
        self.retries = 0

    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over the shards' samples, holding one sample at a time."""
        for shard, shard_name in zip(self.shards, self._shard_names, strict=True):
            seen: set[str] = set()
            for number, sample in enumerate(_samples(shard, self._count_retry), start=1):
                for item in _pairs(f"{shard_name}/{escape_name(sample['__key__'])}", sample):
                    if item.id in seen:
                        reason = "The shard has an earlier sample of the same key."
                        yield Skipped(f"{item.id} (sample {number})", reason)
                    else:
                        seen.add(item.id)
                        yield item

    def card(self) -> dict[str, Any]:
        """Name, and the shards' names in order."""
        return {"source": self.name, "shards": self._shard_names}

    def _count_retry(self) -> None:
        self.retries += 1


def _samples(shard: str, on_retry: Callable[[], None]) -> Iterator[Sample]:
    """Samples of one shard, their parts undecoded."""
    from webdataset.tariterators import group_by_keys

    try:
        yield from group_by_keys(_files(shard, on_retry))
    except ValueError as error:
        if isinstance(error, ModalensError):
            raise
        raise InputError(
            f"The shard '{_spoken(shard)}' has two files of one name ({error.args[0]})."
        ) from error


def _files(shard: str, on_retry: Callable[[], None]) -> Iterator[Sample]:
    """Files of one shard in order.

    The webdataset library's own reader takes a shard that was cut short, or damaged between two files,
    for one that ends there. This one insists on the end mark that every whole archive has.
    """
    place = "at its start"
    try:
        with (
            _open(shard, on_retry) as stream,
            tarfile.open(fileobj=stream, mode="r|*", tarinfo=_StrictTarInfo) as archive,
        ):
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else it grows with the shard
                place = f"in the file '{escape_name(member.name)}' at byte {member.offset}"
                part = archive.extractfile(member) if member.isreg() else None
                if part is not None and not member.name.startswith("__"):
                    yield {"fname": member.name, "data": part.read(), "__url__": shard}
                place = f"after the file '{escape_name(member.name)}' at byte {archive.offset}"
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(
            f"The shard '{_spoken(shard)}' is damaged or cut short {place} ({error}); write or download it again."
        ) from error


def _open(shard: str, on_retry: Callable[[], None]) -> AbstractContextManager[Any]:
    return RemoteFile(shard, on_retry) if is_url(shard) else Path(shard).open("rb")


def _spoken(shard: str) -> str:
    return public_url(shard) if is_url(shard) else shard


class _StrictTarInfo(tarfile.TarInfo):
    """A file's header that must be whole; only the end mark may end the archive."""

    @classmethod
    def fromtarfile(cls: type[_T], archive: tarfile.TarFile) -> _T:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _pairs(name: str, sample: Sample) -> Iterator[Pair | Skipped]:
    try:
        part = next((part for part in _IMAGE_PARTS if part in sample), None)
        if part is None:
            raise UnusableError(f"The sample has no image ({', '.join(_IMAGE_PARTS)}).")
        label = _fields(sample)
        captions = _captions(sample, label)
    except UnusableError as error:
        yield Skipped(name, str(error))
        return
    image = BytesImage(key=f"{name}.{part}", data=sample[part])
    label = {field: value for field, value in label.items() if isinstance(value, str | int | float)}
    for index, caption in enumerate(captions):
        identity = f"{name}#{index}" if len(captions) > 1 else name
        try:
            yield Pair(id=identity, ref=image, text=clean_caption(caption), label=label)
        except UnusableError as error:
            yield Skipped(identity, str(error))


def _fields(sample: Sample) -> dict[str, Any]:
    try:
        fields = json.loads(sample.get("json", b"{}"))
    except ValueError as error:
        raise UnusableError("The sample's json cannot be read.") from error
    if not isinstance(fields, dict):
        raise UnusableError("The sample's json is no object with named fields.")
    return fields


def _captions(sample: Sample, fields: dict[str, Any]) -> list[Any]:
    """Take the captions of a sample, leaving in ``fields`` what else is known of it."""
    found = [fields.pop(name) for name in _CAPTION_FIELDS if name in fields]
    if "txt" in sample:
        return [decode_caption(sample["txt"])]
    if not found:
        raise UnusableError("The sample has no caption: no txt, and no caption or text in a json.")
    captions = found[0] if isinstance(found[0], list) else found[:1]
    if not captions:
        raise UnusableError("The caption is an empty list.")
    return captions
