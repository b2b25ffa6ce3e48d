"""Pictures of every mode of Pillow's become right or are refused, never silently white or black."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from modalens.errors import ModalensError
from modalens.pairs.images import BytesImage
from modalens.pairs.rgb import flatten_rgb

RAMP = np.tile(np.arange(0, 65536, 257, dtype=np.uint16), (4, 1))
RIGHT = np.tile(np.arange(256), (4, 1))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(pixels: np.ndarray, colour_type: int, *chunks: bytes) -> bytes:
    """A PNG of 16 bits; Pillow writes none in colour."""
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def tiff(image: Image.Image, **tags: int) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[int(tag.removeprefix("tag"))] = value
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", tiffinfo=info)
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(BytesImage("a", data).load()).astype(int)


def colours() -> np.ndarray:
    return np.stack([RAMP, RAMP[:, ::-1], RAMP], axis=2)


@pytest.mark.parametrize(
    "data",
    [
        png(RAMP, 0),
        tiff(Image.fromarray(RAMP)),
        tiff(Image.frombytes("I;16B", (256, 4), RAMP.astype(">u2").tobytes())),
        b"P5\n256 4\n65535\n" + RAMP.astype(">u2").tobytes(),
        b"P5\n256 4\n1023\n" + (RAMP.astype(int) // 64).astype(">u2").tobytes(),
    ],
    ids=["png", "tiff", "tiff of the other order", "pgm", "pgm of 10 bits"],
)
def test_greys_of_16_bits(data: bytes) -> None:
    assert np.abs(decoded(data) - RIGHT[..., None]).max() <= 1


def test_a_tiff_in_which_0_is_white() -> None:
    data = bytearray(tiff(Image.fromarray(RAMP)))
    place = data.index(struct.pack("<HHI", 262, 3, 1))
    struct.pack_into("<H", data, place + 8, 0)
    assert np.abs(decoded(bytes(data)) - (255 - RIGHT)[..., None]).max() <= 1


def test_colours_of_16_bits() -> None:
    right = np.stack([RIGHT, RIGHT[:, ::-1], RIGHT], axis=2)
    assert np.abs(decoded(png(colours(), 2)) - right).max() <= 1
    half = np.concatenate([colours(), np.full((4, 256, 1), 2**15, np.uint16)], axis=2)
    assert np.abs(decoded(png(half, 6)) - (right + 255) / 2).max() <= 2


def test_a_grey_of_16_bits_that_stands_for_transparency() -> None:
    found = decoded(png(RAMP, 0, chunk(b"tRNS", struct.pack(">H", 257 * 3))))[..., 0]
    assert np.abs(found - np.where(RIGHT == 3, 255, RIGHT)).max() <= 1


def test_a_colour_of_16_bits_that_stands_for_transparency_is_refused_where_it_may_occur() -> None:
    right = np.stack([RIGHT, RIGHT[:, ::-1], RIGHT], axis=2)
    absent = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    assert np.abs(decoded(png(colours(), 2, absent)) - right).max() <= 1
    present = chunk(b"tRNS", struct.pack(">HHH", 0, 65535, 0))
    with pytest.raises(
        ModalensError, match="The image a cannot be decoded: its transparent colour has 16 bits"
    ):
        decoded(png(colours(), 2, present))


@pytest.mark.parametrize("pixels", [RAMP.astype(np.int32), (RAMP / 65535).astype(np.float32)], ids=["I", "F"])
def test_greys_of_32_bits_have_no_known_range(pixels: np.ndarray) -> None:
    image = Image.fromarray(pixels)
    for take in (lambda: decoded(tiff(image)), lambda: flatten_rgb(image)):
        with pytest.raises(ModalensError, match=f"its grey values have no known range, mode {image.mode}"):
            take()


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LA", "PA", "RGBA", "RGBa", "RGBX"]
)
def test_every_mode_of_8_bits(mode: str) -> None:
    grey = Image.fromarray(RIGHT.astype(np.uint8))
    found = flatten_rgb(grey.convert("RGB").convert("RGBA").convert(mode) if mode == "RGBa" else
                        grey.convert("LA").convert(mode) if mode in ("LA", "PA") else
                        grey.convert("RGB").convert(mode))  # fmt: skip
    assert found.mode == "RGB"
    assert np.abs(np.asarray(found)[0, [0, -1]].astype(int) - [[0] * 3, [255] * 3]).max() <= 2


def test_large_pictures_are_converted_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 7, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    whole = np.asarray(flatten_rgb(image))
    monkeypatch.setattr("modalens.pairs.rgb._BAND", 24)
    np.testing.assert_array_equal(np.asarray(flatten_rgb(image)), whole)


def test_nothing_but_pixels_is_left() -> None:
    image = Image.new("RGB", (2, 2))
    image.info["exif"] = b"Exif"
    assert flatten_rgb(image).info == {}


def test_a_picture_through_which_nothing_shines_is_not_laid_over_white(monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    values[..., 3] = 255
    image = Image.fromarray(values)
    monkeypatch.setattr(Image.Image, "alpha_composite", None)
    np.testing.assert_array_equal(np.asarray(flatten_rgb(image)), values[..., :3])
