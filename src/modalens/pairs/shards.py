"""Images and captions in WebDataset tar shards, on this machine's disk or behind a URL."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modalens.errors import InputError, one_line
from modalens.files import NotPlainError, parse_json
from modalens.pairs.archives import ArchiveError, Member, read_members
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.pairs.images import BytesImage
from modalens.pairs.locations import expand_shards, name_shards
from modalens.pairs.remote import RemoteFile, is_url
from modalens.pairs.suffixes import image_suffixes
from modalens.pairs.text import UnusableError, clean_caption, decode_caption, escape_name, spoken_name
from modalens.redaction import public_url

_CAPTION_FIELDS = ("caption", "text")
# What a sample's json may take in bytes, a sample's parts together, and a sample in fields that become columns.
_MAX_JSON_BYTES = 2**24
_MAX_SAMPLE_BYTES = 2**29
_MAX_FIELDS = 1000


class WebDatasetPairs(Pairs):
    """The samples of WebDataset shards, streamed in the order in which they lie there.

    A sample is the run of files that share a name up to the first dot. Its image is the part ``jpg``,
    ``jpeg``, ``png``, ``webp`` or another suffix of an image that Pillow reads (AVIF, BMP, GIF, JPEG 2000,
    TIFF, ...); its caption the part ``txt``, else the field ``caption`` or ``text`` of
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
            suffixes = [suffix[1:] for suffix in image_suffixes()]
            for number, sample in enumerate(_samples(shard, suffixes, self._count_retry), start=1):
                for item in _pairs(f"{shard_name}/{escape_name(sample.key)}", sample, suffixes):
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


@dataclass
class Sample:
    """Files of a shard that share a name up to the first dot.

    Attributes
    ----------
    key
        The shared name, with its folder.
    parts
        What follows the first dot, in lower case, to what the file holds; None where it is not read.
    unread
        Why parts that are wanted are not read, one sentence each.
    """

    key: str
    parts: dict[str, bytes | None] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, part: str, member: Member) -> None:
        """Take a file in, or the reason why it is not read."""
        data, why = member.data, member.unread
        self.size += len(data or b"")
        if self.size > _MAX_SAMPLE_BYTES:
            data, why = None, f"makes the sample larger than {_MAX_SAMPLE_BYTES:,} bytes"
        self.parts[part] = data
        if why:
            self.unread.append(f"The file '{spoken_name(member.name)}' {why}.")


def _samples(shard: str, suffixes: Sequence[str], on_retry: Callable[[], None]) -> Iterator[Sample]:
    """Samples of one shard in order, their parts undecoded."""
    spoken = spoken_name(public_url(shard) if is_url(shard) else shard)
    wanted = {*suffixes, "txt", "json"}
    sample: Sample | None = None
    try:
        with _open(shard, on_retry) as stream:
            for member in read_members(stream, lambda name: _key_and_part(name)[1] in wanted):
                key, part = _key_and_part(member.name)
                if not part:
                    continue
                if sample is None or sample.key != key:
                    if sample is not None:
                        yield sample
                    sample = Sample(key)
                if part in sample.parts:
                    raise InputError(
                        f"The shard '{spoken}' has two files of one name ({spoken_name(member.name)})."
                    )
                sample.add(part, member)
    except ArchiveError as error:
        raise InputError(
            f"The shard '{spoken}' {one_line(str(error))}; write or download it again."
        ) from error
    if sample is not None:
        yield sample


def _key_and_part(name: str) -> tuple[str, str]:
    """The sample that a file belongs to and its part there, by WebDataset's rule; empty for a file of none."""
    folder, slash, file = name.rpartition("/")
    stem, _, part = file.partition(".")
    if not stem or name.startswith("__"):
        return "", ""
    return f"{folder}{slash}{stem}", part.lower()


def _open(shard: str, on_retry: Callable[[], None]) -> AbstractContextManager[Any]:
    if is_url(shard):
        return RemoteFile(shard, on_retry)
    try:
        return Path(shard).open("rb")
    except OSError as error:
        raise InputError(f"The shard '{spoken_name(shard)}' cannot be read ({error.strerror}).") from error


def _pairs(name: str, sample: Sample, suffixes: Sequence[str]) -> Iterator[Pair | Skipped]:
    part = next((suffix for suffix in suffixes if suffix in sample.parts), None)
    data = sample.parts.get(part or "")
    if part is None and (dotted := _dotted(sample, suffixes)):
        yield from (Skipped(f"{name}.{stem}", reason) for stem, reason in dotted.items())
        return
    try:
        if sample.unread:
            raise UnusableError(sample.unread[0])
        if data is None:
            found = ", ".join(spoken_name(each) for each in list(sample.parts)[:10])
            raise UnusableError(
                f"The sample has no image: its parts are {found}, and images are {', '.join(suffixes)}."
            )
        label = _fields(sample)
        captions = _captions(sample, label)
    except UnusableError as error:
        yield Skipped(name, str(error))
        return
    image = BytesImage(key=f"{name}.{part}", data=data)
    label = {field: value for field, value in label.items() if isinstance(value, str | int | float)}
    for index, caption in enumerate(captions):
        identity = f"{name}#{index}" if len(captions) > 1 else name
        try:
            yield Pair(id=identity, ref=image, text=clean_caption(caption), label=label)
        except UnusableError as error:
            yield Skipped(identity, str(error))


def _dotted(sample: Sample, suffixes: Sequence[str]) -> dict[str, str]:
    """Of a sample without image, the parts that hide one behind a further dot, each with a reason."""
    stems = {}
    for part in sample.parts:
        stem, dot, suffix = part.rpartition(".")
        if dot and suffix in suffixes:
            stems[escape_name(stem)] = (
                f"The file '{spoken_name(f'{sample.key}.{part}')}' is the part '{spoken_name(part)}' of the sample "
                f"'{spoken_name(sample.key)}', since names of samples end at their first dot; write it without further "
                "dots."
            )
    return stems


def _fields(sample: Sample) -> dict[str, Any]:
    data = sample.parts.get("json") or b"{}"
    if len(data) > _MAX_JSON_BYTES:
        raise UnusableError(f"The sample's json is too large: {len(data):,} bytes.")
    try:
        fields: dict[str, Any] = parse_json(data, dict)
    except NotPlainError as error:
        raise UnusableError(f"The sample's json {error}.") from error
    if len(fields) > _MAX_FIELDS:
        raise UnusableError(
            f"The sample's json has {len(fields):,} fields; at most {_MAX_FIELDS:,} become labels."
        )
    return fields


def _captions(sample: Sample, fields: dict[str, Any]) -> list[Any]:
    """Take the captions of a sample, leaving in ``fields`` what else is known of it."""
    found = [fields.pop(name) for name in _CAPTION_FIELDS if name in fields]
    if (text := sample.parts.get("txt")) is not None:
        return [decode_caption(text)]
    if not found:
        raise UnusableError("The sample has no caption: no txt, and no caption or text in a json.")
    captions = found[0] if isinstance(found[0], list) else found[:1]
    if not captions:
        raise UnusableError("The caption is an empty list.")
    return captions
