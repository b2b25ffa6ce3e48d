"""Captions and names as files hold them."""

from modalens.errors import InputError


class UnusableError(InputError):
    """Why one item cannot become a pair; a source hands it on as a ``Skipped``."""


def clean_caption(caption: object) -> str:
    """Strip a caption of surrounding white space.

    Raises
    ------
    UnusableError
        If it is no text or nothing is left.
    """
    if not isinstance(caption, str):
        raise UnusableError("The caption is not text.")
    stripped = caption.strip()
    if not stripped:
        raise UnusableError("The caption is empty.")
    return stripped


def decode_caption(data: bytes) -> str:
    """Decode a caption file, with or without a byte order mark, and strip it.

    Raises
    ------
    UnusableError
        If it is not UTF-8 or empty.
    """
    try:
        return clean_caption(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnusableError("The caption is not UTF-8 text.") from error


def escape_name(name: str) -> str:
    """Spell a file name so that it can be written as UTF-8, whatever bytes the file system holds."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
