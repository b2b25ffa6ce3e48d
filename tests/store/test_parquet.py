"""Columns come back from a Parquet file as they went in."""

from pathlib import Path

import numpy as np
import pytest

from modalens.store.parquet import read_table, write_table


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 0), (0,)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_columns_come_back(shape: tuple[int, ...], dtype: type, tmp_path: Path) -> None:
    values: np.ndarray = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    write_table(
        tmp_path / "a.parquet", "a table", 1, {"x": 1}, {"values": values, "row": np.arange(shape[0])}
    )
    header, columns = read_table(tmp_path / "a.parquet", "a table", 1)
    assert header["x"] == 1
    assert columns["values"].dtype == dtype
    np.testing.assert_array_equal(columns["values"], values)
    assert columns["values"].shape == shape
