"""What tells whether the files behind a setting are the same as before."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from braceexpand import braceexpand

from modalens.hashing import sha256_of


def fingerprint(value: Any) -> str | None:
    """Checksum of the local files that a setting names; None where it names none.

    A file counts by its content. Of a folder, or of shards named by a pattern, the names and sizes of files count:
    reading terabytes to see whether something changed would cost more than doing it again.

    Parameters
    ----------
    value
        Anything; of text such as ``csv:FILE`` or ``coco:FOLDER,FILE,FILE`` what follows the colon is looked at, of a
        list each entry.
    """
    if isinstance(value, list):
        of_each = [fingerprint(each) or "" for each in value]
        return hashlib.sha256("\n".join(of_each).encode()).hexdigest() if any(of_each) else None
    if not isinstance(value, str):
        return None
    kind, colon, rest = value.partition(":")
    if not colon or len(kind) < 2 or rest.startswith("//"):  # no kind; a drive's letter; a URL
        rest = value
    parts = [_of_place(part) for part in rest.partition("?")[0].split(",")]
    found = [part for part in parts if part]
    return hashlib.sha256("\n".join(found).encode()).hexdigest() if found else None


def _of_place(name: str) -> str:
    path = Path(name).expanduser()
    try:
        if path.is_file():
            return sha256_of(path)
        if path.is_dir() and name.strip(". /"):
            return _sizes(each for each in path.rglob("*") if each.is_file())
        if any(mark in name for mark in "{*?["):
            return _sizes(each for pattern in braceexpand(name) for each in _matching(Path(pattern)))
    except (OSError, ValueError):
        pass  # what cannot be looked at is told when the step needs it
    return ""


def _sizes(paths: Iterable[Path]) -> str:
    return "\n".join(sorted(f"{path}\t{path.stat().st_size}" for path in paths))


def _matching(pattern: Path) -> Iterable[Path]:
    """Files of one folder by a pattern of names."""
    return pattern.expanduser().parent.glob(pattern.name)
