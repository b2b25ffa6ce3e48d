"""How much the record batches of an Arrow file or stream unpack to, told before any is read.

A compressed buffer begins with its size unpacked, and pyarrow allocates what stands there. The messages are tables of
FlatBuffers (Arrow's columnar format, "Serialization and interprocess communication"), of which few fields are needed.
"""

import struct
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from modalens.parquet_footer import MAX_DECODED_BYTES

_MAGIC = b"ARROW1"
# No column of real data is this many times smaller in its file.
_MAX_COMPRESSION = 200
_CONTINUES = 0xFFFFFFFF
_DICTIONARY, _RECORDS = 2, 3  # kinds of a message's header
_BLOCK_BYTES, _BUFFER_BYTES = 24, 16


class _Message(NamedTuple):
    at: int
    header_bytes: int
    body_bytes: int


def check_batches(path: Path) -> None:
    """Refuse a file one of whose batches, or whose dictionaries together, unpack to more than 2**30 bytes.

    Parameters
    ----------
    path
        An Arrow file or stream.

    Raises
    ------
    ValueError
        If one does so from next to nothing, or the messages cannot be walked; the message continues a sentence.
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
        try:
            dictionaries = 0
            for message in _messages(data):
                kind, size = _unpacked(data, message)
                dictionaries += size if kind == _DICTIONARY else 0
                whole = max(size, dictionaries)
                if whole > max(MAX_DECODED_BYTES, _MAX_COMPRESSION * message.body_bytes):
                    raise ValueError(f"a batch unpacks from {message.body_bytes:,} to {whole:,} bytes")
        except (struct.error, IndexError) as error:
            raise ValueError("its messages are damaged") from error


def _messages(data: mmap) -> Iterator[_Message]:
    if data[: len(_MAGIC)] == _MAGIC:
        size = _number(data, "<i", len(data) - 10)
        footer = len(data) - 10 - size
        table = footer + _number(data, "<I", footer)
        for field in (2, 3):  # dictionaries and record batches
            for block in _vector(data, table, field, _BLOCK_BYTES):
                yield _Message(*struct.unpack_from("<qi4xq", data, block))
        return
    at = 0
    while at < len(data):
        start = at
        size = _number(data, "<I", at)
        at += 4
        if size == _CONTINUES:
            size = _number(data, "<I", at)
            at += 4
        if size == 0:
            return
        body = _field(data, at + _number(data, "<I", at), 3)
        body_bytes = 0 if body is None else _number(data, "<q", body)
        if body_bytes < 0:
            raise IndexError
        yield _Message(start, at + size - start, body_bytes)
        at += size + body_bytes


def _unpacked(data: mmap, message: _Message) -> tuple[int, int]:
    """Kind of a message, and the bytes that its buffers take unpacked; 0 where nothing is compressed."""
    at = message.at + (8 if _number(data, "<I", message.at) == _CONTINUES else 4)
    table = at + _number(data, "<I", at)
    kind_at, header = _field(data, table, 1), _field(data, table, 2)
    kind = 0 if kind_at is None else data[kind_at]
    if header is None or kind not in (_DICTIONARY, _RECORDS):
        return kind, 0
    batch = header + _number(data, "<I", header)
    if kind == _DICTIONARY:
        inner = _field(data, batch, 1)
        if inner is None:
            return kind, 0
        batch = inner + _number(data, "<I", inner)
    if _field(data, batch, 3) is None:
        return kind, 0
    body, total = message.at + message.header_bytes, 0
    for buffer in _vector(data, batch, 2, _BUFFER_BYTES):
        offset, size = struct.unpack_from("<qq", data, buffer)
        if size:
            total += max(size, _number(data, "<q", body + offset))
    return kind, total


def _field(data: mmap, table: int, number: int) -> int | None:
    """Where a field of a table stands, None where it is left out."""
    layout = table - _number(data, "<i", table)
    entry = 4 + 2 * number
    if entry >= _number(data, "<H", layout):
        return None
    offset = _number(data, "<H", layout + entry)
    return table + offset if offset else None


def _vector(data: mmap, table: int, number: int, item_bytes: int) -> range:
    """Where the items of a vector stand."""
    field = _field(data, table, number)
    if field is None:
        return range(0)
    start = field + _number(data, "<I", field)
    count = _number(data, "<I", start)
    if start + 4 + count * item_bytes > len(data):
        raise IndexError
    return range(start + 4, start + 4 + count * item_bytes, item_bytes)


def _number(data: mmap, kind: str, at: int) -> int:
    if at < 0:
        raise IndexError
    value: int = struct.unpack_from(kind, data, at)[0]
    return value
