"""Bridges on disk: a Parquet table with one row per feature, and a header for the rest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.errors import ModalensError
from modalens.interpret.bridge_result import Bridges
from modalens.store.atomic import whole_file
from modalens.store.documents import checked, require_file, stamped

_KIND = "modalens.Bridges"
_SCHEMA_VERSION = 1
_METADATA_KEY = b"modalens"
_SETTINGS = (
    "modalities",
    "n_pairs",
    "has_decoder",
    "min_correlation",
    "fdr",
    "shuffles",
    "seed",
    "version",
)
_COLUMNS = ("highest_correlation", "p_value", "q_value", "verdict", "shuffled_verdict", "labels")
_LISTS = ("partners", "correlations", "geometries", "bridges")


def save_bridges(bridges: Bridges, path: Path) -> None:
    """Write a .parquet file, whole or not at all."""
    _require_suffix(path)
    header = {name: getattr(bridges, name) for name in _SETTINGS}
    columns = {name: pa.array(getattr(bridges, name)) for name in _COLUMNS}
    for name in _LISTS:
        values = getattr(bridges, name)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    text = json.dumps(stamped(_KIND, _SCHEMA_VERSION, header))
    with whole_file(path) as partial:
        pq.write_table(pa.table(columns).replace_schema_metadata({_METADATA_KEY: text.encode()}), partial)


def load_bridges(path: Path) -> Bridges:
    """Read what :func:`save_bridges` wrote."""
    _require_suffix(path)
    require_file(path)
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ModalensError(f"{path} is not a Parquet file; give a file that modalens wrote.") from error
    text = (table.schema.metadata or {}).get(_METADATA_KEY, b"null")
    header = checked(json.loads(text), _KIND, _SCHEMA_VERSION, path)
    try:
        values: dict[str, Any] = {name: header[name] for name in _SETTINGS}
        values["modalities"] = tuple(values["modalities"])
        values |= {name: _vector(table[name]) for name in _COLUMNS}
        values |= {name: np.stack(table[name].to_numpy()) for name in _LISTS}
    except (KeyError, TypeError, ValueError) as error:
        raise ModalensError(f"{path} is damaged ({error!r}); compute the bridges again.") from error
    return Bridges(**values)


def _vector(column: Any) -> np.ndarray:
    values: np.ndarray = column.to_numpy()
    return values.astype(str) if values.dtype == object else values


def _require_suffix(path: Path) -> None:
    if path.suffix.lower() != ".parquet":
        raise ModalensError(f"Bridges are kept in .parquet files, and {path} is none.")
