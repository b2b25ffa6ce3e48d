"""Suffixes of image files."""

from PIL import Image

# Formats of pictures; Pillow also knows some that run other programs or hold no pixels.
_FORMATS = frozenset(
    ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "JXL", "MPO", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP")
)  # fmt: skip
_FIRST = (".jpg", ".jpeg", ".png", ".webp")
# Taken without a plug-in too: reading one then says which package is missing.
_WITH_PLUGIN = frozenset({".heic", ".heif"})


def image_suffixes() -> tuple[str, ...]:
    """Suffixes of the image files that Pillow reads, in lower case, the usual ones first.

    Formats that a plug-in has registered with Pillow are among them.
    """
    known = Image.registered_extensions()
    found = {
        suffix for suffix, kind in known.items() if kind in _FORMATS and kind in Image.OPEN
    } | _WITH_PLUGIN
    return (*_FIRST, *sorted(found - set(_FIRST)))
