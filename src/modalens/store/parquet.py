"""Result tables on disk: a Parquet file with one row per feature, and a header that says what it is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.errors import InputError, StoreError
from modalens.files import NotPlainError, parse_json
from modalens.parquet_footer import rows_at_a_time
from modalens.store.atomic import whole_file
from modalens.store.documents import checked, nan_to_null, require_file, stamped
from modalens.store.metadata import PARQUET_DAMAGE

_METADATA_KEY = b"modalens"


def write_table(
    path: Path, kind: str, version: int, header: dict[str, Any], columns: Mapping[str, np.ndarray]
) -> None:
    """Write columns of shape (f,) or (f, k) and a header of plain values, whole or not at all.

    Raises
    ------
    InputError
        If the file is not to be a .parquet file.
    """
    _require_suffix(path)
    text = json.dumps(nan_to_null(stamped(kind, version, header)))
    table = pa.table({name: _column(values) for name, values in columns.items()})
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
        rows_at_a_time(path, most=1)  # refuses what unpacks to gigabytes
        table = pq.ParquetFile(path).read()
        header = parse_json((table.schema.metadata or {}).get(_METADATA_KEY, b"null"))
        columns = {name: _values(table[name]) for name in table.column_names}
    except NotPlainError as error:
        raise StoreError(f"The header of {path} {error}; give a file that modalens wrote.") from error
    except PARQUET_DAMAGE as error:
        raise StoreError(
            f"{path} is not a Parquet file, or a damaged one; give a file that modalens wrote."
        ) from error
    return checked(header, kind, version, path), columns


def _column(values: np.ndarray) -> pa.Array:
    values = np.ascontiguousarray(values)
    if values.ndim == 1:
        return pa.array(values)
    if values.shape[1] == 0:  # which a list of fixed size may not be
        return pa.array([[]] * len(values), pa.list_(pa.from_numpy_dtype(values.dtype)))
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _values(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        return np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks]).reshape(-1, size)
    if pa.types.is_list(column.type):
        return np.zeros((len(column), 0), column.type.value_type.to_pandas_dtype())
    values = np.array(column.to_numpy())
    return values.astype(str) if values.dtype == object else values


def _require_suffix(path: Path) -> None:
    if path.suffix.lower() != ".parquet":
        raise InputError(f"This result is kept in a .parquet file, and {path} is none.")
