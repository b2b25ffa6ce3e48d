"""Images that are decoded only when asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from modalens.errors import InputError
from modalens.pairs.decoder_warnings import no_decoder_warnings

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True)
class FileImage:
    """An image in a file.

    Parameters
    ----------
    path
        Where the file lies.
    key
        Name of the image that survives moving the data: its path relative to the source's root, with
        forward slashes.
    """

    path: Path
    key: str

    def load(self) -> Image.Image:
        """Decode to RGB, upright, transparency over white.

        Raises
        ------
        ModalensError
            If the file is missing, truncated, too large or no image.
        """
        return decode_rgb(lambda: self.path.open("rb"), str(self.path))


@dataclass(frozen=True)
class BytesImage:
    """An image whose encoded bytes are already in memory.

    Parameters
    ----------
    key
        Name of the image, stable across runs.
    data
        The encoded file: JPEG, PNG, WebP, ...
    """

    key: str
    data: bytes = field(repr=False)

    def load(self) -> Image.Image:
        """Decode to RGB, upright, transparency over white.

        Raises
        ------
        ModalensError
            If the bytes are truncated, too large or no image.
        """
        return decode_rgb(lambda: BytesIO(self.data), self.key)


def decode_rgb(opener: Callable[[], IO[bytes]], name: str) -> Image.Image:
    """Decode an encoded image to RGB: EXIF orientation applied, transparency laid over white.

    Parameters
    ----------
    opener
        Opens the encoded bytes.
    name
        What the error sentence calls the image.

    Raises
    ------
    ModalensError
        If the image is missing, truncated, too large or no image.
    """
    try:
        with no_decoder_warnings(), opener() as stream, Image.open(stream) as image:
            return flatten_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise InputError(f"The image {name} does not exist.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"The image {name} has too many pixels to be decoded safely.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"The image {name} is not an image Pillow can read.") from error
    except Exception as error:  # Pillow's decoders raise anything on damaged bytes
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"The image {name} cannot be decoded ({reason}).") from error


def flatten_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow image to RGB, transparency laid over white."""
    if image.mode.startswith("I;16"):  # Pillow would clip 16-bit greys to white
        image = image.convert("I").point(lambda grey: grey * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    opaque = Image.new("RGBA", image.size, "white")
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque.convert("RGB")
