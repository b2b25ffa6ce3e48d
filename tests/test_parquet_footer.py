"""Sizes of columns from the footer of a Parquet file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modalens import parquet_footer
from modalens.parquet_footer import row_groups, rows_at_a_time


def parquet(path, table, **how):
    pq.write_table(table, path, **how)
    return path


def test_rows_at_a_time_fit_the_largest_value(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_footer, "MAX_DECODED_BYTES", 2**20)
    # A text of 100 kB in each of 10,000 rows, once in the file: 1 GB unpacked.
    texts = pa.array(["a" * 100_000]).take(pa.array(np.zeros(10_000, dtype=np.int32)))
    path = parquet(tmp_path / "a.parquet", pa.table({"text": texts, "n": np.arange(10_000)}))
    assert path.stat().st_size < 200_000
    assert 1 <= rows_at_a_time(path, ["text"], most=1024) <= 10
    assert rows_at_a_time(path, ["n"], most=8) == 8
    assert rows_at_a_time(path, most=1024) <= 10


def test_columns_that_unpack_to_gigabytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_footer, "MAX_DECODED_BYTES", 2**20)
    monkeypatch.setattr(parquet_footer, "_MAX_LISTED", 1000)
    zeros = pa.table({"a.b": ["0" * 2**22], "n": [1]})
    path = parquet(tmp_path / "a.parquet", zeros, compression="zstd", use_dictionary=False)
    with pytest.raises(ValueError, match=r"the column 'a\.b' unpacks from [\d,]+ to 4,194,\d+ bytes"):
        rows_at_a_time(path, ["a.b"], most=10)
    assert rows_at_a_time(path, ["n"], most=10) == 10
    lists = pa.table({"tags": [["x"] * 5000]})
    with pytest.raises(ValueError, match=r"the lists of 'tags\..*' hold 5,000 values"):
        rows_at_a_time(parquet(tmp_path / "b.parquet", lists), most=10)


def test_real_columns_are_read_as_before(tmp_path):
    random = np.random.default_rng(0).bytes(2**21)
    table = pa.table({"image": [random] * 3, "tags": [["x", "y"], [], None]})
    assert rows_at_a_time(parquet(tmp_path / "a.parquet", table), most=16) == 16


@pytest.mark.parametrize("how", [{}, {"compression": "zstd", "write_page_index": True}, {"version": "1.0"}])
def test_the_footer_says_what_pyarrow_says(tmp_path, how):
    table = pa.table(
        {
            "image": [{"bytes": b"x" * n, "path": None} for n in range(40)],
            "caption.en": [None if n % 3 else f"text {n}" for n in range(40)],
            "boxes": [[[float(n)] * (n % 4)] * 2 for n in range(40)],
            "yes": [n % 2 == 0 for n in range(40)],
        }
    )
    path = parquet(tmp_path / "a.parquet", table, row_group_size=16, **how)
    footer = pq.read_metadata(path)
    found = list(row_groups(path))
    assert len(found) == footer.num_row_groups == 3
    for number, chunks in enumerate(found):
        group = footer.row_group(number)
        assert len(chunks) == group.num_columns == 5
        for place, chunk in enumerate(chunks):
            theirs = group.column(place)
            assert chunk == (
                theirs.path_in_schema,
                group.num_rows,
                theirs.num_values,
                theirs.total_compressed_size,
                theirs.total_uncompressed_size,
            )


def test_changed_footers_give_numbers_or_a_value_error(tmp_path):
    """pyarrow's own accessors end the process on some of these."""
    table = pa.table({"image": [{"bytes": b"xyz", "path": None}] * 4, "tags": [["a"], [], None, ["b"]]})
    good = parquet(tmp_path / "good.parquet", table, row_group_size=2).read_bytes()
    size = int.from_bytes(good[-8:-4], "little")
    rng = np.random.default_rng(0)
    path, refused = tmp_path / "a.parquet", 0
    for _ in range(300):
        data = bytearray(good)
        data[len(good) - 8 - rng.integers(1, size + 1)] = rng.integers(256)
        path.write_bytes(data)
        try:
            rows_at_a_time(path, most=10)
        except ValueError:
            refused += 1
    assert 0 < refused < 300


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\xff" * 4 + b"PAR1", b"PAR1\x19\x04\0\0\0PAR1"])
def test_what_has_no_footer_is_refused(tmp_path, data):
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(ValueError, match=r"its footer is damaged|no footer of Parquet"):
        list(row_groups(tmp_path / "a.parquet"))


def test_lists_longer_than_the_footer_are_refused_at_once(tmp_path):
    footer = b"\x49\xf7" + b"\xff" * 8 + b"\x7f\0"  # a list of 2**63 doubles
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="its footer is damaged"):
        list(row_groups(tmp_path / "a.parquet"))
