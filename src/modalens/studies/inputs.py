"""What a study reads beyond a representation, named by content, so that a result is known by what made it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from modalens.errors import ModalensError
from modalens.hashing import sha256_of


def file_digest(path: Path | None) -> str | None:
    """SHA-256 of a file; None for none.

    Raises
    ------
    ModalensError
        If it cannot be read.
    """
    if path is None:
        return None
    try:
        return sha256_of(path.expanduser())
    except OSError as error:
        raise ModalensError(f"The file {path} cannot be read ({error.strerror}); check its name.") from error


def file_digests(paths: Iterable[Path]) -> list[str | None]:
    """SHA-256 of each file, in order."""
    return [file_digest(path) for path in paths]


def values_digest(values: np.ndarray | None) -> str | None:
    """SHA-256 of an array's values as text; None for none."""
    if values is None:
        return None
    return hashlib.sha256("\0".join(map(str, np.asarray(values).tolist())).encode()).hexdigest()


def model_digest(name: str) -> dict[str, Any] | None:
    """What tells a model in a local folder from another one there; None where a name says it (``self``, a hub id)."""
    folder = Path(name).expanduser()
    if not name or not folder.is_dir():
        return None
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".json", ".safetensors", ".bin"})
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
