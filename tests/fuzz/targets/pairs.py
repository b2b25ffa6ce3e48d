"""Sources of pairs."""

import bz2
import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import Pair, load_pairs
from tests.fuzz.target import Target


def _png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def _read(source: str) -> Callable[[Path], Any]:
    """Walk over everything of a source, decode what is given, and see that a store could keep it."""

    def read(folder: Path) -> Any:
        items = list(load_pairs(source.format(folder)).scan())
        ids = [item.id for item in items]
        assert len(set(ids)) == len(ids), f"ids that repeat: {ids}"
        for item in items:
            item.id.encode()
            if not isinstance(item, Pair):
                assert item.reason.endswith("."), item
                assert "\n" not in item.reason, item
                item.reason.encode()
                continue
            assert item.text.strip(), item
            item.text.encode()
            item.ref.key.encode()
            for name, value in item.label.items():
                name.encode()
                pa.array([value])
            with suppress(ModalensError):
                assert item.image.mode == "RGB"
        return ids

    return read


def _csv(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a.png").write_bytes(_png(1))
    (folder / "sub/b.png").write_bytes(_png(2))
    lines = [
        "image,caption,id,n",
        'a.png,"one, two",x,1',
        "sub/b.png,three,y,2",
        'a.png,"four ""5""\nsix",z,',
    ]
    (folder / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _folder(folder: Path) -> None:
    for name in ("a", "sub/b", "c.d"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.png").write_bytes(_png(3))
        (folder / f"{name}.txt").write_text(f"a picture of {name}\nand more", encoding="utf-8")


def _coco(folder: Path) -> None:
    images = [{"id": number, "file_name": f"{number}.png"} for number in (1, 2)]
    captions = [
        {"id": 10 + number, "image_id": 1 + number % 2, "caption": f"text {number}"} for number in range(4)
    ]
    things = [
        {"id": n, "image_id": 1 + n % 2, "category_id": 1 + n % 2, "area": 2.5 * n, "bbox": [0, 0, n, 2], "iscrowd": 0}
        for n in range(4)
    ]  # fmt: skip
    del things[3]["area"]
    document = {"info": {"url": "x"}, "images": images, "annotations": captions}
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (folder / "captions.json").write_text(json.dumps(document))
    (folder / "instances.json").write_text(json.dumps({"annotations": things, "categories": categories}))
    for number in (1, 2):
        (folder / f"{number}.png").write_bytes(_png(number))


def _tar_bytes(kind: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for number in range(3):
            fields = {
                "caption": [f"text {number}", "more"],
                "n": number,
                "s": "x",
                "f": 0.5,
                "deep": {"a": [1]},
            }
            text = f"a text {number}".encode()
            last = ("json", json.dumps(fields).encode()) if number else ("txt", text)
            for suffix, data in (("png", _png(number)), last):
                member = tarfile.TarInfo(f"{'folder' * 30 if number == 2 else 'f'}/{number}.{suffix}")
                member.size = len(data)
                if kind == tarfile.PAX_FORMAT:
                    member.pax_headers = {"comment": "x" * 20, "mtime": "1.5"}
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _tar(name: str, kind: int, pack: Callable[[bytes], bytes] = bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).write_bytes(pack(_tar_bytes(kind)))

    return make


def _change_header(data: bytes, random: Random) -> bytes:
    """Change a field of a header and mend its checksum, so that the change is believed."""
    starts = [
        place for place in range(0, len(data) - 511, 512) if data[place + 257 : place + 262] == b"ustar"
    ]
    if not starts:
        return data
    start = random.choice(starts)
    header = bytearray(data[start : start + 512])
    place, length = random.choice(
        [(0, 100), (124, 12), (124, 12), (156, 1), (345, 155), (386, 100), (482, 30)]
    )
    if place == 156:
        header[156] = random.choice(b"01234567xgXLKSDVNM\0")
    elif place == 124:
        sizes = (
            b"%011o\0" % random.choice([0, 1, 511, 513, 2**20 + 1, 2**33 - 1]),
            b"\xff" * 12,
            b"\x80" + b"\0" * 6 + b"\2" + b"\0" * 4,
        )
        header[124:136] = random.choice(sizes)[:12]
    else:
        for _ in range(random.randint(1, 4)):
            header[place + random.randrange(length)] = random.choice(b"\0/.\xff\x80 0717az")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + bytes(header) + data[start + 512 :]


def _inside(
    pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]
) -> Callable[[bytes, Random], bytes]:
    def change(data: bytes, random: Random) -> bytes:
        try:
            return pack(_change_header(unpack(data), random))
        except (OSError, EOFError, ValueError, zlib.error):
            return data

    return change


def _parquet(folder: Path) -> None:
    image = pa.array([{"bytes": _png(n), "path": f"{n}.png"} for n in range(4)])
    columns = {
        "image": image, "caption": pa.array(["a", "b", None, "d"]), "n": pa.array([1, 2, 3, 2**64 - 1], pa.uint64()),
        "odd": pa.array([[1], None, [], [2, 3]]), "d": pa.array([1, 2, 3, 4], pa.duration("s")),
    }  # fmt: skip
    table = pa.table(columns)
    pq.write_table(table, folder / "train.parquet", row_group_size=2)


def _arrow(folder: Path) -> None:
    _parquet(folder)
    table = pq.read_table(folder / "train.parquet")
    (folder / "train.parquet").unlink()
    with pa.ipc.new_file(str(folder / "train.arrow"), table.schema) as file:
        file.write_table(table, max_chunksize=2)


TARGETS = {
    "csv": Target(_csv, _read("csv:{0}/t.csv"), "*.csv"),
    "folder": Target(_folder, _read("folder:{0}")),
    "coco": Target(_coco, _read("coco:{0},{0}/captions.json,{0}/instances.json"), "*.json"),
    "tar": Target(_tar("s.tar", tarfile.GNU_FORMAT), _read("wds:{0}/s.tar"), mutators=[_change_header]),
    "tar-pax": Target(_tar("s.tar", tarfile.PAX_FORMAT), _read("wds:{0}/s.tar"), mutators=[_change_header]),
    "tar-gz": Target(
        _tar("s.tar", tarfile.GNU_FORMAT, lambda data: gzip.compress(data, mtime=0)),
        _read("wds:{0}/s.tar"),
        mutators=[_inside(gzip.compress, gzip.decompress)],
    ),
    "tar-bz2": Target(
        _tar("s.tar", tarfile.PAX_FORMAT, bz2.compress),
        _read("wds:{0}/s.tar"),
        mutators=[_inside(bz2.compress, bz2.decompress)],
    ),
    "parquet": Target(_parquet, _read("hf:{0}/train.parquet:train")),
    "arrow": Target(_arrow, _read("hf:{0}/train.arrow")),
}
