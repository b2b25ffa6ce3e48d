"""How much the columns of a Parquet file take, told from its footer before anything is decoded.

pyarrow gives these numbers too, but ends the process where the footer of a damaged file contradicts itself (its
``ColumnChunkMetaData`` lets C++ exceptions through). So the footer, a struct of Thrift's compact protocol, is walked
here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MAX_DECODED_BYTES = 2**30
"""What the rows of a Parquet file that are decoded at a time may take, in bytes."""
# No column of real data is this many times smaller in its file, beyond what its encoding saves.
_MAX_COMPRESSION = 200
_MAX_LISTED = 2**26  # values in the lists of one row group
_MAX_FOOTER_BYTES = 2**28
_MAX_DEPTH = 32

# Kinds of a value in Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
# Numbers of the fields in Parquet's format.
_ROW_GROUPS = 4
_COLUMNS, _ROWS = 1, 3
_META_DATA = 3
_PATH, _VALUES, _UNPACKED, _PACKED = 3, 5, 6, 7


class ColumnChunk(NamedTuple):
    """A column in one row group: its path with dots, rows of the group, values, and bytes packed and unpacked."""

    path: str
    rows: int
    values: int
    packed: int
    unpacked: int


def rows_at_a_time(path: Path, columns: Sequence[str] | None = None, *, most: int) -> int:
    """How many rows of a Parquet file may be decoded at a time.

    No value is larger than what its column takes in a row group, so that many rows of the largest fit the budget of
    2**30 bytes.

    Parameters
    ----------
    path
        The file.
    columns
        Those to read; all by default.
    most
        As many rows as are wanted.

    Raises
    ------
    ValueError
        If the footer cannot be read, a column unpacks from next to nothing to more than that, or has lists of more
        than 2**26 values in a row group; the message continues a sentence.
    OSError
        If the file cannot be read.
    """
    largest = 1
    for group in row_groups(path):
        total = 0
        for chunk in group:
            if columns is not None and not _is_of(chunk.path, columns):
                continue
            if chunk.unpacked > max(MAX_DECODED_BYTES, _MAX_COMPRESSION * chunk.packed):
                raise ValueError(
                    f"the column {chunk.path!r} unpacks from {chunk.packed:,} to {chunk.unpacked:,} bytes"
                )
            if chunk.values > max(_MAX_LISTED, chunk.rows):
                raise ValueError(f"the lists of {chunk.path!r} hold {chunk.values:,} values")
            total += chunk.unpacked
        largest = max(largest, total)
    return max(1, min(most, MAX_DECODED_BYTES // largest))


def row_groups(path: Path) -> Iterator[list[ColumnChunk]]:
    """The columns of each row group.

    Raises
    ------
    ValueError
        If the footer cannot be read; the message continues a sentence.
    """
    try:
        fields, _ = _struct(_footer(path), 0, 0)
        for group in fields.get(_ROW_GROUPS, []):
            yield [_chunk(column[_META_DATA], group[_ROWS]) for column in group[_COLUMNS]]
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError("its footer is damaged") from error


def _footer(path: Path) -> bytes:
    with path.open("rb") as stream:
        end = stream.seek(0, 2)
        stream.seek(max(0, end - 8))
        tail = stream.read(8)
        size = int.from_bytes(tail[:4], "little")
        if tail[4:] != b"PAR1" or size > min(end - 8, _MAX_FOOTER_BYTES):
            raise ValueError("it has no footer of Parquet")
        stream.seek(end - 8 - size)
        return stream.read(size)


def _chunk(fields: dict[int, Any], rows: Any) -> ColumnChunk:
    sizes = [rows, fields[_VALUES], fields[_PACKED], fields[_UNPACKED]]
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("its footer is damaged")
    return ColumnChunk(b".".join(fields[_PATH]).decode(), *sizes)


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """A struct by the numbers of its fields, and where it ends; raises IndexError where the data end first."""
    if depth > _MAX_DEPTH:
        raise ValueError("its footer is nested too deep")
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        step, kind, at = head >> 4, head & 15, at + 1
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _integer(data, at)
    if kind in (_TRUE, _FALSE, _BYTE):  # in a list, a truth takes a byte
        return data[at], at + 1
    if kind in (_DOUBLE, _BINARY):
        size, at = (8, at) if kind == _DOUBLE else _varint(data, at)
        if at + size > len(data):
            raise IndexError
        return data[at : at + size], at + size
    if kind in (_LIST, _SET):
        size, kind, at = data[at] >> 4, data[at] & 15, at + 1
        if size == 15:
            size, at = _varint(data, at)
        values = []
        for _ in range(size):
            value, at = _value(data, at, kind, depth + 1)
            values.append(value)
        return values, at
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    raise ValueError("its footer is damaged")  # Parquet has no maps


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("its footer is damaged")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _is_of(path: str, columns: Sequence[str]) -> bool:
    """Whether a leaf of a Parquet schema belongs to one of some columns, whose names may have dots."""
    return any(path == name or path.startswith(f"{name}.") for name in columns)
