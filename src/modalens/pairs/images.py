"""Images that are decoded only when asked for."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from modalens.errors import InputError
from modalens.files import open_file
from modalens.pairs.decoder_warnings import no_decoder_warnings
from modalens.pairs.picture_chunks import without_metadata
from modalens.pairs.rgb import flatten_rgb

MAX_PIXELS = 120_000_000
"""Pixels of the largest picture that is decoded: 1 GB while it is turned upright."""
_MAX_REREAD = 2**28
# Pillow hands these to other programs, which run what a stranger has written in them.
_PROGRAMS = frozenset({"EPS", "WMF"})
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1")


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
        return decode_rgb(self._open, str(self.path))

    def _open(self) -> IO[bytes]:
        return open_file(self.path, f"The image {self.path}")


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


def decode_rgb(opener: Callable[[], IO[bytes]], name: str, most_pixels: int | None = None) -> Image.Image:
    """Decode an encoded image to RGB: EXIF orientation applied, transparency laid over white.

    Of an animation and of several pages the first is taken. Metadata that are damaged do not matter.

    Parameters
    ----------
    opener
        Opens the encoded bytes.
    name
        What the error sentence calls the image.
    most_pixels
        Pixels of the largest picture that is decoded; :data:`MAX_PIXELS` by default.

    Raises
    ------
    ModalensError
        If the image is missing, truncated, no image, of too many pixels, or of values without a known range.
    """
    with opener() as stream, no_decoder_warnings():
        return _named(stream, name, MAX_PIXELS if most_pixels is None else most_pixels)


def _named(stream: IO[bytes], name: str, most_pixels: int) -> Image.Image:
    """The image; what is wrong with it as a sentence."""
    try:
        return _decoded(stream, most_pixels)
    except InputError as error:
        raise InputError(f"The image {name} cannot be decoded: {error}.") from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"The image {name} has too many pixels to be decoded safely; at most {most_pixels} are."
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(f"The image {name} is not an image Pillow can read.") from error
    except MemoryError:  # tells of the machine, not of the image
        raise
    except Exception as error:  # Pillow's decoders raise anything on damaged bytes
        told = getattr(error, "strerror", None) or str(error)  # of a system's error, not the path again
        reason = " ".join(str(told).split()).rstrip(".") or type(error).__name__
        raise InputError(f"The image {name} cannot be decoded ({reason}).") from error


def _decoded(stream: IO[bytes], most_pixels: int) -> Image.Image:
    """The image; where it fails as it is, without its metadata."""
    try:
        return _upright(stream, most_pixels)
    except (InputError, Image.DecompressionBombError, MemoryError):
        raise
    except Exception as error:
        stream.seek(0)
        data = stream.read(_MAX_REREAD)
        if data[4:12] in _HEIF_BRANDS and isinstance(error, UnidentifiedImageError):
            raise InputError('HEIC pictures need Pillow\'s plug-in: pip install "modalens[heic]"') from error
        for keep_exif in (True, False):
            shorter = without_metadata(data, keep_exif=keep_exif)
            if shorter is None or len(shorter) == len(data):
                continue
            try:
                return _upright(BytesIO(shorter), most_pixels)
            except Exception:
                continue  # the first error tells of the file as it is
        raise


def _upright(stream: IO[bytes], most_pixels: int) -> Image.Image:
    with Image.open(stream, formats=_formats()) as image:
        if image.width * image.height > most_pixels:
            raise Image.DecompressionBombError
        flat = flatten_rgb(image)
        turned = _UPRIGHT.get(_orientation(image))  # of what is loaded: Pillow turns TIFF itself
    del image  # holds as many pixels again
    return flat if turned is None else flat.transpose(turned)


def _orientation(image: Image.Image) -> int:
    """How the picture lies, by its EXIF block; as it should where that is damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # each reader of the block fails in its own way
        return 1


@cache
def _formats() -> list[str]:
    """What Pillow and the plug-in for HEIC read by themselves."""
    Image.init()
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    return [name for name in Image.OPEN if name not in _PROGRAMS]
