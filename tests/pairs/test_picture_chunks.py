"""Metadata that are damaged do not cost the picture."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs.images import BytesImage

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(kind: str, exif: Image.Exif | None = None) -> bytes:
    buffer = io.BytesIO()
    options = {"exif": exif} if exif is not None else {}
    Image.fromarray(PIXELS).save(buffer, kind, **options, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


def lying() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def chunk(name: bytes, data: bytes, checksum: int | None = None) -> bytes:
    found = zlib.crc32(name + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", found)


def in_png(*chunks: bytes) -> bytes:
    data = encoded("PNG")
    return data[:33] + b"".join(chunks) + data[33:]  # behind the header


def in_jpeg(marker: int, content: bytes) -> bytes:
    data = encoded("JPEG")
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + data[2:]


PNGS: dict[str, Callable[[], bytes]] = {
    "text with a wrong checksum": lambda: in_png(chunk(b"tEXt", b"Comment\0x", checksum=1)),
    "text that unpacks to too much": lambda: in_png(
        *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**21)))]
    ),
    "text of an unknown compression": lambda: in_png(chunk(b"zTXt", b"k\0\7x")),
    "profile of an unknown compression": lambda: in_png(chunk(b"iCCP", b"icc\0\7x")),
    "profile that unpacks to too much": lambda: in_png(
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**21)))
    ),
    "empty profile": lambda: in_png(chunk(b"iCCP", b"")),
    "short resolution": lambda: in_png(chunk(b"pHYs", b"\0")),
    "short gamma": lambda: in_png(chunk(b"gAMA", b"")),
    "garbage in EXIF": lambda: in_png(chunk(b"eXIf", b"\xff" * 40)),
    "EXIF with a wrong checksum": lambda: in_png(chunk(b"eXIf", b"\xff" * 40, checksum=1)),
    "animation without frames": lambda: in_png(chunk(b"acTL", b"\0")),
}


@pytest.mark.parametrize("name", PNGS)
def test_a_png_keeps_its_pixels(name: str) -> None:
    np.testing.assert_array_equal(BytesImage("a", PNGS[name]()).load(), PIXELS)


def test_a_png_with_a_broken_text_still_lies_as_its_exif_says() -> None:
    data = in_png(chunk(b"eXIf", lying().tobytes()[6:]), chunk(b"tEXt", b"Comment\0x", checksum=1))
    np.testing.assert_array_equal(BytesImage("a", data).load(), np.rot90(PIXELS, -1))


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        (0xE1, b"Exif\0\0" + b"\xff" * 50),
        (0xE1, b"Exif\0\0II*\0\x08\0\0\0"),
        (0xE2, b"ICC_PROFILE\0"),
        (0xE2, b"MPF\0garbage"),
        (0xED, b"Photoshop 3.0\x008BIM\0\1"),
        (0xED, b"Photoshop 3.0\x008BIM" + b"\0" * 3),
        (0xEE, b"Adobe"),
        (0xE0, b"JFIF"),
        (0xFE, b""),
    ],
)
def test_a_jpeg_keeps_its_pixels(marker: int, content: bytes) -> None:
    right = BytesImage("a", encoded("JPEG")).load()
    np.testing.assert_array_equal(BytesImage("a", in_jpeg(marker, content)).load(), right)


def test_a_jpeg_with_a_resolution_of_nothing_lies_as_its_exif_says() -> None:
    exif = lying()
    exif[0x011A] = 72.0
    data = encoded("JPEG", exif).replace(struct.pack(">II", 72, 1), struct.pack(">II", 72, 0))
    assert BytesImage("a", data).load().size == (20, 30)


@pytest.mark.parametrize("how", ["garbage", "size", "cut"])
def test_a_webp_keeps_its_pixels(how: str) -> None:
    data = encoded("WEBP", lying())
    place = data.index(b"EXIF")
    if how == "garbage":
        data = data[: place + 8] + b"\xff" * (len(data) - place - 8)
    elif how == "size":
        data = data[: place + 4] + struct.pack("<I", 9999) + data[place + 8 :]
    else:
        data = data[: place + 9]
    np.testing.assert_array_equal(BytesImage("a", data).load(), PIXELS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_is_cut_short_is_still_refused(kind: str) -> None:
    data = encoded(kind, lying())
    for length in (len(data) // 2, len(data) - 60):
        with pytest.raises(ModalensError, match="The image a "):
            BytesImage("a", data[:length]).load()
