"""COCO's images with all their captions."""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from modalens.errors import InputError
from modalens.files import read_json
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.pairs.images import FileImage
from modalens.pairs.paths import find_item, require_folder
from modalens.pairs.text import UnusableError, clean_caption, escape_name, spoken_name

logger = logging.getLogger(__name__)

# COCO's own instances of 2017 take 448 MB.
_MAX_BYTES = 2**31


class CocoPairs(Pairs):
    """The captions of a COCO annotation file, image by image in the order of that file.

    A pair's id is ``IMAGE#CAPTION``, the numbers that COCO gives them; captions of one image share its
    ``file_name`` as key. Labels: ``image_id`` and, where a file of instances is given, ``category``: that of
    the object with the largest area, crowds left out, the first listed where two are equal, empty where the
    image has none. An object without ``area`` has that of its box.

    Parameters
    ----------
    location
        ``IMAGES,CAPTIONS.json`` or ``IMAGES,CAPTIONS.json,INSTANCES.json``: the folder of images, and
        annotation files such as ``captions_val2017.json`` and ``instances_val2017.json``.

    Raises
    ------
    ModalensError
        If a part is missing or does not exist, or a file is no COCO annotation file.
    """

    example = "coco:val2017,captions_val2017.json"

    def __init__(self, location: str) -> None:
        self.name = f"coco:{location}"
        folder, captions, instances = _parts(location)
        self.root = require_folder(folder, "folder of images", self.example)
        document = _read(captions)
        try:
            self._file_of = {image["id"]: str(image["file_name"]) for image in document["images"]}
            self._captions: dict[Any, list[tuple[Any, Any]]] = defaultdict(list)
            numbers: set[str] = set()
            for each in document["annotations"]:
                self._captions[each["image_id"]].append((each["id"], each["caption"]))
                numbers.add(str(each["id"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"The file '{captions}' holds no COCO captions ({_fault(error)}); give one such as "
                "captions_val2017.json."
            ) from error
        if len({*map(str, self._file_of)}) < len(document["images"]) or len(numbers) < len(
            document["annotations"]
        ):
            raise InputError(f"The file '{captions}' gives two images or two captions one number; mend it.")
        self._info = document.get("info")
        self._category_of = None if instances is None else _largest_objects(instances)

    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over the images with their captions, then over the captions of unknown images."""
        for image, file in self._file_of.items():
            captions = self._captions.get(image, [])
            if not captions:
                yield Skipped(f"{image}", "The image has no caption.")
                continue
            try:
                ref = self._find(file)
            except UnusableError as error:
                yield from (Skipped(name, str(error)) for name, _ in _named(image, captions))
                continue
            label = {"image_id": image}
            if self._category_of is not None:
                label["category"] = self._category_of.get(image, "")
            for name, caption in _named(image, captions):
                try:
                    yield Pair(id=name, ref=ref, text=clean_caption(caption), label=label)
                except UnusableError as error:
                    yield Skipped(name, str(error))
        for image, captions in self._captions.items():
            if image not in self._file_of:
                reason = "The caption's image is not listed in the file."
                yield from (Skipped(name, reason) for name, _ in _named(image, captions))

    def count(self) -> int:
        """Number of captions and of images without one."""
        silent = sum(image not in self._captions for image in self._file_of)
        return sum(map(len, self._captions.values())) + silent

    def card(self) -> dict[str, Any]:
        """Name, how many images and captions there are, and whose they are."""
        card: dict[str, Any] = {
            "source": self.name,
            "images": len(self._file_of),
            "captions": sum(map(len, self._captions.values())),
        }
        about = self._info if isinstance(self._info, dict) else {}
        told = [str(about[part]) for part in ("description", "contributor", "url") if about.get(part)]
        return card | ({"attribution": ", ".join(told)} if told else {})

    def _find(self, file: str) -> FileImage:
        return FileImage(find_item(self.root, file, "image"), key=escape_name(PurePosixPath(file).as_posix()))


def _parts(location: str) -> tuple[str, str, str | None]:
    """Folder, captions and instances; the folder's name may hold commas."""
    parts = location.rsplit(",", 2)
    if len(parts) == 3 and not parts[1].endswith(".json"):
        parts = location.rsplit(",", 1)
    if len(parts) < 2 or not all(parts):
        raise InputError(
            f"The source coco takes a folder of images and a file of captions, not '{location}'; give them as in "
            f"{CocoPairs.example}."
        )
    return parts[0], parts[1], parts[2] if len(parts) == 3 else None


def _named(image: Any, captions: Sequence[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    """The captions of an image, each with its id."""
    return ((f"{image}#{number}", caption) for number, caption in captions)


@dataclass(frozen=True, slots=True)
class _Object:
    image: Any
    category: Any
    area: float
    crowd: bool
    boxed: bool
    """Whether the area is that of the box."""


def _compact(values: dict[str, Any]) -> Any:
    """An object as soon as it is read, without its outline: the file holds gigabytes of these as Python's own."""
    if "category_id" not in values:
        return values
    boxed = values.get("area") is None
    return _Object(
        values["image_id"], values["category_id"], _area(values, boxed), bool(values.get("iscrowd")), boxed
    )


def _area(values: dict[str, Any], boxed: bool) -> float:
    if boxed and values.get("bbox") is None:
        raise KeyError("area")
    try:
        sides = values["bbox"][2:4] if boxed else [values["area"], 1.0]
        area = float(sides[0]) * float(sides[1])
    except (ValueError, OverflowError, IndexError, KeyError) as error:
        raise TypeError from error
    if not math.isfinite(area):
        raise TypeError
    return area


def _largest_objects(file: str) -> dict[Any, str]:
    """Category of the largest object of each image."""
    largest: dict[Any, _Object] = {}
    boxed = 0
    try:
        document = _read(file, convert=_compact)
        names = {category["id"]: str(category["name"]) for category in document["categories"]}
        for each in document["annotations"]:
            boxed += each.boxed and not each.crowd
            if not each.crowd and (each.image not in largest or each.area > largest[each.image].area):
                largest[each.image] = each
        categories = {image: names[each.category] for image, each in largest.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"The file '{file}' holds no COCO instances ({_fault(error)}); give one such as "
            "instances_val2017.json."
        ) from error
    if boxed:
        logger.warning("%s: area is missing %d times; that of the box is taken", file, boxed)
    return categories


def _read(file: str, convert: Callable[[dict[str, Any]], Any] | None = None) -> dict[str, Any]:
    document: dict[str, Any] = read_json(
        Path(file).expanduser(),
        f"The annotation file '{file}'",
        dict,
        advice="give a COCO annotation file",
        limit=_MAX_BYTES,
        convert=convert,
    )
    return document


def _fault(error: Exception) -> str:
    if not isinstance(error, KeyError):
        return "its entries have another shape"
    return f"{spoken_name(str(error))} is missing"
