"""Results on disk: a Parquet file with one row per feature, and a header that says what it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file
from modalens.store.documents import checked, nan_to_null, require_file, stamped

_METADATA_KEY = b"modalens"


def write_table(
    path: Path, kind: str, version: int, header: dict[str, Any], columns: dict[str, np.ndarray]
) -> None:
    """Write one-dimensional columns and a header of plain values, whole or not at all.

    Raises
    ------
    ModalensError
        If the file is not to be a .parquet file.
    """
    _require_suffix(path)
    text = json.dumps(nan_to_null(stamped(kind, version, header)))
    table = pa.table({name: pa.array(np.ascontiguousarray(column)) for name, column in columns.items()})
    with whole_file(path) as partial:
        pq.write_table(table.replace_schema_metadata({_METADATA_KEY: text.encode()}), partial)


def read_table(path: Path, kind: str, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what :func:`write_table` wrote, as (header, columns).

    Raises
    ------
    ModalensError
        If the file is missing, no Parquet, of another kind or newer than this modalens.
    """
    _require_suffix(path)
    require_file(path)
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ModalensError(f"{path} is not a Parquet file; give a file that modalens wrote.") from error
    header = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"null"))
    columns = {name: np.array(table[name].to_numpy()) for name in table.column_names}
    return checked(header, kind, version, path), columns


def _require_suffix(path: Path) -> None:
    if path.suffix.lower() != ".parquet":
        raise ModalensError(f"This result is kept in a .parquet file, and {path} is none.")
