"""Suffixes of image files."""

from functools import cache
from importlib import import_module

from PIL import Image

# Formats of pictures; Pillow also knows some that run other programs or hold no pixels.
_FORMATS = frozenset(
    ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "JXL", "MPO", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP")
)  # fmt: skip
_FIRST = (".jpg", ".jpeg", ".png", ".webp")
# Taken without a plug-in too: reading one then says which package is missing.
_WITH_PLUGIN = frozenset({".heic", ".heif"})
# Packages whose import, or whose function here, teaches Pillow a format.
_PLUGINS = {"pillow_heif": "register_heif_opener", "pillow_jxl": ""}


def image_suffixes() -> tuple[str, ...]:
    """Suffixes of the image files that Pillow reads, in lower case, the usual ones first.

    Formats that an installed plug-in brings (``pillow_heif``, ``pillow_jxl``) are among them.
    """
    _register_plugins()
    known = Image.registered_extensions()
    found = {
        suffix for suffix, kind in known.items() if kind in _FORMATS and kind in Image.OPEN
    } | _WITH_PLUGIN
    return (*_FIRST, *sorted(found - set(_FIRST)))


@cache
def _register_plugins() -> None:
    for package, function in _PLUGINS.items():
        try:
            plugin = import_module(package)
        except ImportError:
            continue
        if function:
            getattr(plugin, function)()
