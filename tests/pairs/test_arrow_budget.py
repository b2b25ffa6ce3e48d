"""What batches of Arrow files unpack to."""

from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

from modalens.errors import InputError
from modalens.pairs import arrow_budget, load_pairs
from modalens.pairs.arrow_budget import check_batches

_OPEN = {"file": pa.ipc.new_file, "stream": pa.ipc.new_stream}


def arrow(path, table, how, compression="zstd"):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with _OPEN[how](str(path), table.schema, options=options) as out:
        out.write_table(table, max_chunksize=16)
    return path


def pictures(rows=40):
    images = [{"bytes": b"x" * 50, "path": f"{row}.png"} for row in range(rows)]
    words = pa.array([f"word {row % 3}" for row in range(rows)]).dictionary_encode()
    return pa.table({"image": images, "text": ["a caption"] * rows, "word": words, "n": range(rows)})


@pytest.mark.parametrize("how", ["file", "stream"])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_good_files_are_walked_whole(tmp_path, how, compression, monkeypatch):
    path = arrow(tmp_path / "a.arrow", pictures(), how, compression)
    found = []
    unpacked = arrow_budget._unpacked

    def note(data, message):
        kind, size = unpacked(data, message)
        found.append((kind, size))
        return kind, size

    monkeypatch.setattr(arrow_budget, "_unpacked", note)
    check_batches(path)
    kinds = [kind for kind, _ in found if kind != 1]
    assert kinds.count(arrow_budget._RECORDS) == 3
    assert kinds.count(arrow_budget._DICTIONARY) == 1
    sizes = [size for kind, size in found if kind == arrow_budget._RECORDS]
    if compression is None:
        assert sizes == [0, 0, 0]
    else:  # of 16 rows at least the bytes of 16 images
        assert all(16 * 50 <= size <= 4096 for size in sizes[:2])


@pytest.mark.parametrize("how", ["file", "stream"])
def test_batches_that_unpack_to_gigabytes_are_refused(tmp_path, how, monkeypatch):
    monkeypatch.setattr(arrow_budget, "MAX_DECODED_BYTES", 2**20)
    table = pa.table({"image": [{"bytes": b"\0" * 2**24, "path": "a"}], "text": ["a"]})
    path = arrow(tmp_path / "a.arrow", table, how)
    assert path.stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"a batch unpacks from [\d,]+ to 16,777,\d+ bytes"):
        check_batches(path)
    with pytest.raises(InputError, match=r"cannot be read \(ValueError: a batch unpacks from"):
        list(load_pairs(f"hf:{path}").scan())


@pytest.mark.parametrize("how", ["file", "stream"])
def test_dictionaries_that_unpack_to_gigabytes_are_refused(tmp_path, how, monkeypatch):
    monkeypatch.setattr(arrow_budget, "MAX_DECODED_BYTES", 2**20)
    table = pa.table({"text": pa.array(["0" * 2**22]).dictionary_encode()})
    with pytest.raises(ValueError, match=r"a batch unpacks from [\d,]+ to 4,194,\d+ bytes"):
        check_batches(arrow(tmp_path / "a.arrow", table, how))


@pytest.mark.parametrize("how", ["file", "stream"])
def test_changed_files_are_walked_or_refused(tmp_path, how):
    good = arrow(tmp_path / "good.arrow", pictures(), how).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "a.arrow"
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(good))] = rng.integers(256)
        path.write_bytes(data)
        with suppress(ValueError):
            check_batches(path)
