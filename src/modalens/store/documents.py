"""Result files that say what they are: JSON with a kind and a schema version."""

import math
from pathlib import Path
from typing import Any

from modalens.errors import ModalensError, StoreError
from modalens.files import read_json
from modalens.store.atomic import write_json


def stamped(kind: str, version: int, values: dict[str, Any]) -> dict[str, Any]:
    """Put the kind of the document and its schema version in front of its values."""
    return {"kind": kind, "schema_version": version, **values}


def checked(document: Any, kind: str, version: int, path: Path) -> dict[str, Any]:
    """The document itself, if it is of this kind and of a schema this modalens reads.

    Raises
    ------
    ModalensError
        If it is another kind of document, or newer.
    """
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise ModalensError(f"{path} does not hold what {kind} saves; give a file that modalens wrote.")
    found = document.get("schema_version")
    if not isinstance(found, int) or found > version:
        raise ModalensError(
            f"{path} has schema version {found!r} and this modalens reads up to {version}; upgrade modalens to open it."
        )
    return document


def write_document(path: Path, kind: str, version: int, values: dict[str, Any]) -> None:
    """Write a JSON document, whole or not at all; NaN becomes null."""
    write_json(path, nan_to_null(stamped(kind, version, values)))


def read_document(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON document of one kind.

    Raises
    ------
    ModalensError
        If the file is missing, no JSON, of another kind or newer than this modalens.
    """
    require_file(path)
    document = read_json(path, str(path), dict, advice="give a file that modalens wrote", error=StoreError)
    return checked(document, kind, version, path)


def require_file(path: Path) -> None:
    """Raise if there is no such file."""
    if not path.is_file():
        raise ModalensError(
            f"{path} is a folder, not a file." if path.is_dir() else f"There is no file {path}."
        )


def nan_to_null(value: Any) -> Any:
    """Replace NaN by None throughout, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: nan_to_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_null(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def null_to_nan(value: float | None) -> float:
    """The other way round, for one number.

    Raises
    ------
    TypeError
        If it is none.
    """
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return math.nan if value is None else value
