"""Picture files without what says nothing of their pixels: profiles, texts, times, resolutions."""

from collections.abc import Iterator
from zlib import crc32

_PNG = b"\x89PNG\r\n\x1a\n"
# All else in a PNG whose name starts with a small letter can be left out; the pixels are those of the first picture.
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_JPEG = b"\xff\xd8"
_JPEG_SCAN = 0xDA
# JFIF's and Adobe's segments say how the colours are meant, but not to the decoder where they are shorter than this.
_JPEG_LEAST = {0xE0: 14, 0xEE: 12}
_JPEG_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})
_WEBP_METADATA = frozenset({b"EXIF", b"XMP ", b"ICCP"})


def without_metadata(data: bytes, *, keep_exif: bool) -> bytes | None:
    """The file of a picture with its pixels alone.

    Parameters
    ----------
    data
        A file.
    keep_exif
        Whether to keep the EXIF block, which tells how the picture lies.

    Returns
    -------
    bytes or None
        The shorter file; None of a format that keeps pixels and all else together, or whose parts cannot be told
        apart.
    """
    if data.startswith(_PNG):
        return _PNG + b"".join(_png_chunks(data, keep_exif))
    if data.startswith(_JPEG):
        return _JPEG + b"".join(_jpeg_segments(data, keep_exif))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        body = b"WEBP" + b"".join(_webp_chunks(data, keep_exif))
        return b"RIFF" + len(body).to_bytes(4, "little") + body
    return None


def _png_chunks(data: bytes, keep_exif: bool) -> Iterator[bytes]:
    place = len(_PNG)
    while place + 8 <= len(data):
        name, end = data[place + 4 : place + 8], place + 12 + int.from_bytes(data[place : place + 4], "big")
        if name in _PNG_PIXELS:
            yield data[place:end]
        elif keep_exif and name == b"eXIf":
            sound = crc32(data[place + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
            if sound:
                yield data[place:end]
        place = end


def _jpeg_segments(data: bytes, keep_exif: bool) -> Iterator[bytes]:
    place = len(_JPEG)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _JPEG_SCAN:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        marker, content = data[place + 1], data[place + 4 : end]
        is_kept = (
            marker not in _JPEG_METADATA
            or len(content) >= _JPEG_LEAST.get(marker, len(data))
            or (keep_exif and marker == 0xE1 and content.startswith(b"Exif\0\0"))
        )
        if is_kept:
            yield data[place:end]
        place = end
    yield data[place:]


def _webp_chunks(data: bytes, keep_exif: bool) -> Iterator[bytes]:
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        end = place + 8 + size + size % 2
        if name not in _WEBP_METADATA or (name == b"EXIF" and keep_exif and end <= len(data)):
            yield data[place:end]
        place = end
