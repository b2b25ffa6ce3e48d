"""Images with same-named ``.txt`` captions in a folder."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from modalens.errors import InputError
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.pairs.images import FileImage
from modalens.pairs.paths import find_item, read_item, require_folder
from modalens.pairs.suffixes import image_suffixes
from modalens.pairs.text import MAX_CAPTION, UnusableError, decode_caption, escape_name, spoken_name


class FolderPairs(Pairs):
    """Every image under a folder, at any depth, with the ``.txt`` beside it that has its name.

    The whole ``.txt``, stripped, is one caption, line breaks included. A pair's id is the image's path
    relative to the folder, without suffix; images that differ only in suffix share the caption and keep
    their suffix in the id. The order is that of the paths. Hidden files and folders are left out. Links are
    followed inside the folder, where a linked folder adds only what has no place of its own there, and skipped
    where they lead out of it.

    Parameters
    ----------
    location
        The folder.

    Raises
    ------
    ModalensError
        If there is no such folder, it cannot be read, or no image in it has a caption file.
    """

    example = "folder:photos"

    def __init__(self, location: str) -> None:
        self.name = f"folder:{location}"
        self.root = require_folder(location, "folder", self.example)
        self._suffixes = frozenset(image_suffixes())
        files, self._refused = _walk(self.root)
        self._images = [file for file in files if _suffix(file) in self._suffixes]
        self._captions = [file for file in files if _suffix(file) == ".txt"]
        self._caption_of: dict[str, str] = {}
        for file in self._captions:
            self._caption_of.setdefault(_stem(file), file)
        self._images_with_stem = Counter(map(_stem, self._images))
        self._other_of = {
            _stem(file): file for file in files if _suffix(file) not in (*self._suffixes, ".txt")
        }
        if not self._images_with_stem.keys() & self._caption_of.keys():
            unread = sorted(
                {_suffix(self._other_of[stem]) for stem in self._caption_of if stem in self._other_of}
            )
            told = f" (files that end in {', '.join(unread)} are not read as images)" if unread else ""
            refused = f", and {len(self._refused)} parts that are not read" if self._refused else ""
            raise InputError(
                f"The folder '{location}' has no pair: it holds {len(self._images)} images and "
                f"{len(self._captions)} .txt files{refused}, and an image needs a .txt of the same name beside "
                f"it{told}."
            )

    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over the images by path, then over the captions that belong to none and what is not read."""
        yield from map(self._pair, self._images)
        for file in self._captions:
            if _stem(file) not in self._images_with_stem:
                yield Skipped(escape_name(file), self._alone(file))
            elif self._caption_of[_stem(file)] != file:
                yield Skipped(escape_name(file), "The image has another caption file already.")
        yield from self._refused

    def count(self) -> int:
        """Number of images, of captions that belong to none and of links and folders that are not read."""
        used = sum(stem in self._images_with_stem for stem in self._caption_of)
        return len(self._images) + len(self._captions) - used + len(self._refused)

    def card(self) -> dict[str, Any]:
        """Name, and how many images and caption files the folder holds."""
        return {"source": self.name, "images": len(self._images), "caption_files": len(self._captions)}

    def _pair(self, file: str) -> Pair | Skipped:
        stem = _stem(file)
        # "a" is free as an id unless a.jpg and a.png both stand for it, or some image is itself called "a".
        short = self._images_with_stem[stem] == 1 and _suffix(stem) not in self._suffixes
        name = escape_name(stem if short else file)
        try:
            if stem not in self._caption_of:
                raise UnusableError("The image has no .txt of the same name.")
            image = find_item(self.root, file, "image")
            caption = find_item(self.root, self._caption_of[stem], "caption file")
            text = decode_caption(read_item(caption, "caption file", MAX_CAPTION))
        except UnusableError as error:
            return Skipped(name, str(error))
        return Pair(id=name, ref=FileImage(image, key=escape_name(file)), text=text)

    def _alone(self, caption: str) -> str:
        other = self._other_of.get(_stem(caption))
        told = "" if other is None else f"; '{spoken_name(other)}' is no kind of image that is read"
        return f"The caption file has no image of the same name{told}."


def _walk(root: Path) -> tuple[list[str], list[Skipped]]:
    """Paths of the files under a folder, sorted and relative to it, and the parts that cannot be read."""
    files: list[str] = []
    refused: list[Skipped] = []
    walked: set[Path] = set()
    top, waiting = root.resolve(), [root]

    def refuse(error: OSError) -> None:
        if not walked:
            raise InputError(f"The folder '{root}' cannot be read ({error.strerror}).") from error
        folder = escape_name(Path(error.filename).relative_to(root).as_posix())
        refused.append(Skipped(f"{folder}/", f"The folder cannot be read ({error.strerror})."))

    while waiting:
        linked: list[Path] = []
        for start in waiting:
            if start.resolve() in walked:
                continue
            for folder, subfolders, names in os.walk(start, onerror=refuse):
                walked.add(Path(folder).resolve())
                here = Path(folder).relative_to(root)
                subfolders[:] = [name for name in subfolders if not name.startswith(".")]
                linked += [Path(folder, name) for name in subfolders if Path(folder, name).is_symlink()]
                files += ((here / name).as_posix() for name in names if not name.startswith("."))
        outside = [link for link in linked if not link.resolve().is_relative_to(top)]
        refused += (
            Skipped(
                f"{escape_name(link.relative_to(root).as_posix())}/", "The link leads outside the folder."
            )
            for link in outside
        )
        # What a link leads to inside the folder is there already, unless a hidden folder holds it.
        waiting = sorted(set(linked) - set(outside))
    return sorted(files), sorted(refused, key=lambda each: each.id)


def _suffix(file: str) -> str:
    return PurePosixPath(file).suffix.lower()


def _stem(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))
