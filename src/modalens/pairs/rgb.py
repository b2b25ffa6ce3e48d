"""From any picture of Pillow's to RGB with 8 bits a colour."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from modalens.errors import InputError

# Pixels that are converted at a time, so that a large picture takes no more memory than itself and what it becomes.
_BAND = 2**22
# White in greys of more than 8 bits, by the format of the file; None is a picture made in memory.
_WHITE_16: Mapping[str | None, int] = dict.fromkeys((None, "PNG", "TIFF", "JPEG2000", "IM"), 2**16 - 1)
_WHITE_32: Mapping[str | None, int] = dict.fromkeys(("PNG", "PPM"), 2**16 - 1)  # to which Pillow scales them
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def flatten_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow image to RGB without metadata, transparency laid over white.

    Greys of 16 bits are scaled to 8. Those of 32 bits, whole or not, have no known range and are refused.

    Raises
    ------
    InputError
        If the values have no known range, or a colour that stands for transparency cannot be told.
    """
    is_deep = _is_deep_png(image)  # known until it is loaded
    image.load()
    white, inverted = _white(image), _is_inverted(image)
    flat = Image.new("RGB", image.size)
    width, height = image.size
    rows = max(_BAND // max(width, 1), 1)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        band = image.crop(box)
        if white is not None:
            part = _greys_as_rgb(band, white, inverted=inverted)
        elif is_deep and band.has_transparency_data:
            part = _without_key(band)
        elif band.has_transparency_data and not _is_opaque(band):
            part = Image.new("RGBA", band.size, "white")
            part.alpha_composite(band.convert("RGBA"))
        else:
            part = band
        flat.paste(part.convert("RGB"), box)
    return flat


def _white(image: Image.Image) -> int | None:
    """The value of white in greys of more than 8 bits; None of other pictures."""
    if image.mode.startswith("I;16"):
        white = _WHITE_16.get(image.format)
        if image.format == "TIFF" and _tiff_tag(image, _TIFF_BITS) == 12:
            white = 2**12 - 1
    elif image.mode == "I":
        white = _WHITE_32.get(image.format)
    elif image.mode == "F":
        white = None
    else:
        return None
    if white is None:
        raise InputError(
            f"its grey values have no known range, mode {image.mode}; save it with 8 or 16 bits a pixel"
        )
    return white


def _greys_as_rgb(band: Image.Image, white: int, *, inverted: bool) -> Image.Image:
    greys = np.asarray(band)
    values = np.rint(greys.astype(np.float32) * (255 / white)).clip(0, 255).astype(np.uint8)
    if inverted:
        values = 255 - values
    transparent = band.info.get("transparency")
    if isinstance(transparent, int):
        values[greys == transparent] = 255
    return Image.fromarray(values)


def _is_deep_png(image: Image.Image) -> bool:
    """Whether it is a PNG with 16 bits a colour, of which Pillow gives the upper 8, and no alpha channel."""
    tiles: list[Any] = getattr(image, "tile", [])
    return image.mode == "RGB" and bool(tiles) and tiles[0][3] == "RGB;16B"


def _without_key(band: Image.Image) -> Image.Image:
    """A band of a picture in which one colour of 16 bits is transparent, if it has no pixel like it."""
    key = [value >> 8 for value in band.info["transparency"]]
    if (np.asarray(band) == key).all(axis=2).any():
        raise InputError("its transparent colour has 16 bits, of which Pillow reads 8; save it with 8")
    return band


def _is_opaque(band: Image.Image) -> bool:
    """Whether nothing shines through any pixel, so that laying the picture over white changes nothing."""
    return band.mode == "RGBA" and band.getchannel("A").getextrema() == (255, 255)


def _is_inverted(image: Image.Image) -> bool:
    """Whether 0 is white, which Pillow minds with up to 8 bits only."""
    return image.format == "TIFF" and _tiff_tag(image, _TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO


def _tiff_tag(image: Image.Image, tag: int) -> int | None:
    found = getattr(image, "tag_v2", {}).get(tag)
    value = found[0] if isinstance(found, tuple) else found
    return value if isinstance(value, int) else None
