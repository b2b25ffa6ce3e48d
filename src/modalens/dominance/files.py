"""A header and columns of one number a feature, in JSON or Parquet by the suffix of the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modalens.errors import ModalensError
from modalens.store.documents import read_document, write_document
from modalens.store.parquet import read_table, write_table


def write_result(
    path: Path, kind: str, version: int, header: dict[str, Any], columns: Mapping[str, np.ndarray]
) -> None:
    """Write JSON or Parquet, by the suffix, whole or not at all."""
    if _suffix(path) == ".json":
        lists = {name: column.tolist() for name, column in columns.items()}
        write_document(path, kind, version, {**header, "columns": lists})
    else:
        write_table(path, kind, version, header, columns)


def read_result(path: Path, kind: str, version: int) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Read what :func:`write_result` wrote, as (header, columns)."""
    if _suffix(path) == ".json":
        header = read_document(path, kind, version)
        return header, header.get("columns", {})
    return read_table(path, kind, version)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".json", ".parquet"):
        raise ModalensError(f"Dominance is kept in .json or .parquet files, and {path} is neither.")
    return suffix
