"""Images with same-named ``.txt`` captions in a folder."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from modalens.errors import InputError
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.pairs.images import IMAGE_SUFFIXES, FileImage
from modalens.pairs.text import UnusableError, decode_caption, escape_name


class FolderPairs(Pairs):
    """Every image under a folder, at any depth, with the ``.txt`` beside it that has its name.

    The whole ``.txt``, stripped, is one caption, line breaks included. A pair's id is the image's path
    relative to the folder, without suffix; images that differ only in suffix share the caption and keep
    their suffix in the id. The order is that of the paths. Hidden files and folders are left out, linked
    folders are not followed.

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
        self.root = Path(location).expanduser()
        if not location or not self.root.is_dir():
            raise InputError(f"There is no folder '{location}'; give one as in {self.example}.")
        files = sorted(_walk(self.root))
        self._images = [file for file in files if PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES]
        self._captions = [file for file in files if PurePosixPath(file).suffix.lower() == ".txt"]
        self._caption_of: dict[str, str] = {}
        for file in self._captions:
            self._caption_of.setdefault(_stem(file), file)
        self._images_with_stem = Counter(map(_stem, self._images))
        if not self._images_with_stem.keys() & self._caption_of.keys():
            raise InputError(
                f"The folder '{location}' has no pair: it holds {len(self._images)} images and "
                f"{len(self._captions)} .txt files, and an image needs a .txt of the same name beside it."
            )

    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over the images by path, then over the captions that belong to none."""
        yield from map(self._pair, self._images)
        for file in self._captions:
            if _stem(file) not in self._images_with_stem:
                yield Skipped(escape_name(file), "The caption file has no image of the same name.")
            elif self._caption_of[_stem(file)] != file:
                yield Skipped(escape_name(file), "The image has another caption file already.")

    def count(self) -> int:
        """Number of images and of captions that belong to none."""
        used = sum(stem in self._images_with_stem for stem in self._caption_of)
        return len(self._images) + len(self._captions) - used

    def card(self) -> dict[str, Any]:
        """Name, and how many images and caption files the folder holds."""
        return {"source": self.name, "images": len(self._images), "caption_files": len(self._captions)}

    def _pair(self, file: str) -> Pair | Skipped:
        stem = _stem(file)
        # "a" is free as an id unless a.jpg and a.png both stand for it, or some image is itself called "a".
        short = self._images_with_stem[stem] == 1 and PurePosixPath(stem).suffix.lower() not in IMAGE_SUFFIXES
        name = escape_name(stem if short else file)
        try:
            if stem not in self._caption_of:
                raise UnusableError("The image has no .txt of the same name.")
            text = decode_caption((self.root / self._caption_of[stem]).read_bytes())
        except UnusableError as error:
            return Skipped(name, str(error))
        except OSError as error:
            return Skipped(name, f"The caption file cannot be read ({error.strerror}).")
        return Pair(id=name, ref=FileImage(self.root / file, key=escape_name(file)), text=text)


def _walk(root: Path) -> Iterator[str]:
    """Paths of the files under a folder, relative to it, with forward slashes."""

    def refuse(error: OSError) -> NoReturn:
        raise InputError(f"The folder '{error.filename}' cannot be read ({error.strerror}).") from error

    for folder, subfolders, files in os.walk(root, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        here = Path(folder).relative_to(root)
        yield from ((here / name).as_posix() for name in files if not name.startswith("."))


def _stem(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))
