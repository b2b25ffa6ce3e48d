"""Captions, names and values as files hold them, and as every store can keep them."""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from modalens.errors import InputError, one_line

MAX_CAPTION = 2**20
"""Longest caption that is taken, in bytes of a file and in characters."""
_REPLACEMENT = "\ufffd"
_LARGEST = 2**63
_SHOWN = 120
_LISTED = 30


class UnusableError(InputError):
    """Why one item cannot become a pair; a source hands it on as a ``Skipped``."""


def plain_text(text: str) -> str:
    """Text that UTF-8 and every file of a store can hold.

    Half a surrogate pair, such as an emoji cut in two, and NUL become U+FFFD; the halves of a whole pair are joined.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", _REPLACEMENT)


def plain_label(label: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a pair, as a table can hold it: texts by :func:`plain_text`, integers beyond 64 bits as text."""
    return {plain_text(str(name)): _plain_value(value) for name, value in label.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return str(value) if value.bit_length() < 2**13 else hex(value)
    return value


def clean_caption(caption: object) -> str:
    """Strip a caption of surrounding white space and make it :func:`plain_text`.

    Raises
    ------
    UnusableError
        If it is no text, nothing readable is left, or it has more than 2**20 characters.
    """
    if not isinstance(caption, str):
        raise UnusableError("The caption is not text.")
    if len(caption) > MAX_CAPTION:
        raise UnusableError(f"The caption is too long: {len(caption):,} characters.")
    stripped = plain_text(caption).strip()
    if not stripped.strip(_REPLACEMENT + " "):
        raise UnusableError("The caption is empty.")
    return stripped


def decode_caption(data: bytes) -> str:
    """Decode a caption file, with or without a byte order mark, and clean it as :func:`clean_caption`.

    Raises
    ------
    UnusableError
        If it is not UTF-8, empty or too long.
    """
    if len(data) > MAX_CAPTION:
        raise UnusableError(f"The caption is too long: more than {MAX_CAPTION:,} bytes.")
    try:
        return clean_caption(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnusableError(f"The caption is not UTF-8 text (byte {error.start}).") from error


def escape_name(name: str) -> str:
    """Spell a file name so that it can be written as UTF-8, whatever bytes the file system holds."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def spoken_name(name: str) -> str:
    """A name as a sentence says it: escaped, on one line, its middle left out where it is long."""
    line = one_line(escape_name(name))
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 20]}...{line[-17:]}"


def listed_names(names: Collection[str]) -> str:
    """Names as a sentence lists them: the first thirty, and how many there are."""
    more = f", ... ({len(names):,} in all)" if len(names) > _LISTED else ""
    return (", ".join(spoken_name(name) for name in islice(names, _LISTED)) or "none") + more
