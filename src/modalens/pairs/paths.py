"""Files and folders that a user, or a source, names."""

import os
import stat
from pathlib import Path, PurePath

from modalens.errors import InputError
from modalens.pairs.text import UnusableError, spoken_name


def require_folder(location: str, what: str, example: str) -> Path:
    """The folder at a location that a user gives.

    Raises
    ------
    InputError
        If there is none, or it is something else.
    """
    return _require("folder", location, what, example)


def require_file(location: str, what: str, example: str) -> Path:
    """The regular file at a location that a user gives.

    Raises
    ------
    InputError
        If there is none, or it is something else.
    """
    return _require("file", location, what, example)


def _require(wanted: str, location: str, what: str, example: str) -> Path:
    path = Path(location).expanduser()
    kind = _kind(path) if location else ""
    if kind != wanted:
        found = f": it is a {kind}" if kind else ""
        raise InputError(f"There is no {what} '{spoken_name(location)}'{found}; give one as in {example}.")
    return path


def find_item(root: Path, name: str | PurePath, what: str, *, anywhere: bool = False) -> Path:
    """The regular file that an item of a source names, relative to the source's folder.

    Links are followed as long as they stay in the folder.

    Parameters
    ----------
    root
        The source's folder.
    name
        The file's path as the source gives it.
    what
        What the sentence calls the file, such as ``image``.
    anywhere
        Whether the name may lead out of the folder.

    Raises
    ------
    UnusableError
        If there is no such file, it lies outside the folder, or it is a folder, a pipe or a device.
    """
    spoken = f"The {what} '{spoken_name(str(name))}'"
    path = root / name
    if not anywhere and (PurePath(name).is_absolute() or ".." in PurePath(name).parts):
        raise UnusableError(f"{spoken} is outside the folder of {what}s.")
    try:
        mode = path.stat().st_mode
        if not anywhere and not path.resolve().is_relative_to(root.resolve()):
            raise UnusableError(f"{spoken} is a link that leads outside the folder of {what}s.")
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        if isinstance(error, UnusableError):
            raise
        dangling = "; it is a link that leads nowhere" if _is_link(path) else ""
        raise UnusableError(f"{spoken} does not exist{dangling}.") from error
    except (OSError, RuntimeError) as error:  # pathlib calls a circle of links a RuntimeError
        reason = getattr(error, "strerror", None) or str(error)
        raise UnusableError(f"{spoken} does not exist or cannot be reached ({reason}).") from error
    if not stat.S_ISREG(mode):
        raise UnusableError(f"{spoken} is a {_kind_of(mode)}, not a file.")
    return path


def read_item(path: Path, what: str, limit: int) -> bytes:
    """At most ``limit`` + 1 bytes of an item's file that :func:`find_item` found.

    Raises
    ------
    UnusableError
        If the system refuses to read it.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(limit + 1)
    except OSError as error:
        raise UnusableError(
            f"The {what} '{spoken_name(path.name)}' cannot be read ({error.strerror})."
        ) from error


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def _kind(path: Path) -> str:
    """What lies at a path; empty where nothing does."""
    try:
        return _kind_of(os.stat(path).st_mode)  # noqa: PTH116 (pathlib's own methods hide why)
    except (OSError, ValueError):
        return ""


def _kind_of(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "pipe or device"
