"""Read files that may be anything: too large, damaged, of another kind, or no file at all.

Everything here gives what the file holds or raises one sentence that names the file and, where there is one, the
place. The subject of that sentence is given by the caller, such as ``The manifest runs/a/manifest.json``.
"""

import json
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from modalens.errors import InputError, ModalensError

MAX_JSON_BYTES = 2**28
"""How much JSON is read at once unless a caller allows more, in bytes."""
MAX_JSON_DEPTH = 100
"""How deep JSON may be nested."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEP = 2**20


class NotPlainError(Exception):
    """Why bytes are not the JSON that is asked for; the reason is a part of a sentence."""


def open_file(path: Path, subject: str, *, error: type[ModalensError] = InputError) -> IO[bytes]:
    """Open a regular file to read its bytes; a pipe or a device is refused, which might never end.

    Parameters
    ----------
    path
        Where it lies.
    subject
        What the error's sentence begins with, the file's name included.
    error
        The kind of error to raise.

    Raises
    ------
    ModalensError
        If there is no such file, it is a folder, a pipe or a device, or the system refuses it.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise error(f"{subject} is a folder, not a file.")
        if not stat.S_ISREG(mode):
            raise error(f"{subject} is a pipe or a device, not a file.")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as missing:
        raise error(f"{subject} does not exist.") from missing
    except OSError as refused:
        raise error(f"{subject} cannot be read ({refused.strerror}).") from refused
    except ValueError as odd:
        if isinstance(odd, ModalensError):
            raise
        raise error(f"{subject} does not exist: its name has a character that no file's has.") from odd


def read_bytes(
    path: Path, subject: str, *, limit: int = MAX_JSON_BYTES, error: type[ModalensError] = InputError
) -> bytes:
    """Everything in a regular file of at most ``limit`` bytes.

    Raises
    ------
    ModalensError
        As :func:`open_file`, or if the file is larger.
    """
    with open_file(path, subject, error=error) as stream:
        try:
            data = b"" if path.stat().st_size > limit else stream.read(min(path.stat().st_size, limit) + 1)
            if len(data) > limit or path.stat().st_size > limit:
                raise error(f"{subject} is too large: more than {limit:,} bytes.")
        except OSError as refused:
            raise error(f"{subject} cannot be read ({refused.strerror}).") from refused
        except MemoryError as full:
            raise error(f"{subject} does not fit into memory.") from full
    return data


def read_json(
    path: Path,
    subject: str,
    expected: type = object,
    *,
    advice: str = "",
    limit: int = MAX_JSON_BYTES,
    convert: Callable[[dict[str, Any]], Any] | None = None,
    error: type[ModalensError] = InputError,
) -> Any:
    """Read one JSON value, in UTF-8 with or without a byte order mark.

    Parameters
    ----------
    path
        Where the file lies.
    subject
        What the error's sentence begins with, the file's name included.
    expected
        ``dict`` or ``list`` where the file must hold an object or a list.
    advice
        What to do about a damaged file, without a full stop.
    limit
        Largest size of the file, in bytes.
    convert
        Takes each object's place as soon as it is read.
    error
        The kind of error to raise.

    Raises
    ------
    ModalensError
        If the file cannot be read, is too large, not UTF-8, not valid JSON, nested more than 100 deep, names a key
        of one object twice, or holds a value of another type.
    """
    data = read_bytes(path, subject, limit=limit, error=error)
    try:
        return parse_json(data, expected, convert=convert)
    except NotPlainError as wrong:
        raise error(f"{subject} {wrong}{'; ' + advice if advice else ''}.") from wrong


def read_json_lines(
    path: Path,
    subject: str,
    expected: type = object,
    *,
    advice: str = "",
    limit: int = MAX_JSON_BYTES,
    error: type[ModalensError] = InputError,
) -> Iterator[tuple[int, Any]]:
    """Read a file with a JSON value on each line, as (line from 1, value); empty lines are left out.

    Lines end at ``\\n`` alone: U+2028 and its kin may stand in a text.

    Raises
    ------
    ModalensError
        As :func:`read_json`, naming the line; ``limit`` holds for each line.
    """
    with open_file(path, subject, error=error) as stream:
        number = 0
        while True:
            number += 1
            try:
                line = stream.readline(limit + 1)
            except OSError as refused:
                raise error(f"{subject} cannot be read ({refused.strerror}).") from refused
            if not line:
                return
            if len(line) > limit:
                raise error(f"{subject} is too large: line {number} has more than {limit:,} bytes.")
            if line.strip(b" \t\r\n\xef\xbb\xbf"):
                try:
                    value = parse_json(line if number == 1 else line.rstrip(b"\n"), expected)
                except NotPlainError as wrong:
                    raise error(
                        f"{subject}, line {number}, {wrong}{'; ' + advice if advice else ''}."
                    ) from wrong
                yield number, value


def parse_json(
    data: bytes, expected: type = object, *, convert: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """The value that JSON in UTF-8 stands for, with the limits and parameters of :func:`read_json`.

    Raises
    ------
    NotPlainError
        If it is not that; the message continues a sentence, such as ``is not UTF-8 text (byte 17)``.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise NotPlainError(f"is not UTF-8 text (byte {wrong.start})") from wrong
    if _depth_exceeds(data, MAX_JSON_DEPTH):
        raise NotPlainError(f"is nested more than {MAX_JSON_DEPTH} deep")

    def collect(pairs: list[tuple[str, Any]]) -> Any:
        values = dict(pairs)
        if len(values) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise NotPlainError(f"names the key {twice[:80]!r} twice in one object")
        return values if convert is None else convert(values)

    try:
        value = json.loads(text, object_pairs_hook=collect)
    except (ValueError, RecursionError) as wrong:
        raise NotPlainError(f"is not valid JSON ({_reason(wrong)})") from wrong
    except MemoryError as wrong:
        raise NotPlainError("does not fit into memory") from wrong
    if not isinstance(value, expected):
        raise NotPlainError(f"holds {_kind(value)}, not {_kind(expected())}")
    return value


def _depth_exceeds(data: bytes, most: int) -> bool:
    """Whether brackets are nested deeper than ``most``; found before reading, which is recursive."""
    if data.count(b"[") + data.count(b"{") <= most:
        return False
    bare = np.frombuffer(_STRING.sub(b"", data), dtype=np.uint8)
    depth = 0
    for start in range(0, len(bare), _STEP):
        part = bare[start : start + _STEP]
        opening = (part == ord("[")) | (part == ord("{"))
        closing = (part == ord("]")) | (part == ord("}"))
        depths = depth + np.cumsum(opening.astype(np.int32) - closing)
        if depths.max() > most:
            return True
        depth = int(depths[-1])
    return False


def _reason(wrong: Exception) -> str:
    if isinstance(wrong, json.JSONDecodeError):
        return f"{wrong.msg}, line {wrong.lineno}, column {wrong.colno}"
    return " ".join(str(wrong).split()).rstrip(".;") or type(wrong).__name__


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def check_path(path: Path) -> None:
    """Refuse a path whose letters are no UTF-8 text: Arrow cannot open it, and would call good files damaged.

    Raises
    ------
    InputError
        If it is one.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        said = str(path).encode("utf-8", "backslashreplace").decode()
        raise InputError(
            f"The path {said} has letters that are no UTF-8 text, and Parquet files cannot be kept there; rename it."
        ) from error
