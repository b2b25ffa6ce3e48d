"""Cache of drawn pictures, so that a study that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file
from modalens.studies.text_to_image_control.prompted import Edit, Prompted

# How many are drawn before they are kept: what the embedded generator draws at once.
_AT_A_TIME = 16


class PictureCache:
    """Draws edits of a prompt, and finds those again that lie in a folder.

    Parameters
    ----------
    prompted
        What draws.
    folder
        Where a picture a file lies; None keeps nothing.

    Raises
    ------
    ModalensError
        If the folder cannot be written.
    """

    def __init__(self, prompted: Prompted, folder: Path | None) -> None:
        self._prompted, self._folder = prompted, folder
        if folder is None:
            return
        self._card = json.dumps(prompted.card(), sort_keys=True, default=str)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModalensError(f"The folder {folder} cannot be written ({error.strerror}).") from error

    def draw(self, edits: Sequence[Edit], seed: int, advance: Callable[[int], None]) -> list[Image.Image]:
        """A picture for each edit (see :meth:`Prompted.draw`); ``advance`` is told how many are done."""
        pictures: list[Image.Image] = []
        for start in range(0, len(edits), _AT_A_TIME):
            some = edits[start : start + _AT_A_TIME]
            pictures += self._found_or_drawn(some, seed)
            advance(len(some))
        return pictures

    def _found_or_drawn(self, edits: Sequence[Edit], seed: int) -> list[Image.Image]:
        if self._folder is None:
            return self._prompted.draw(edits, seed)
        paths = [self._path(self._folder, edit, seed) for edit in edits]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        drawn = self._prompted.draw([edits[number] for number in missing], seed)
        for number, picture in zip(missing, drawn, strict=True):
            with whole_file(paths[number]) as partial:
                picture.save(partial, "PNG")
        return [_opened(path) for path in paths]

    def _path(self, folder: Path, edit: Edit, seed: int) -> Path:
        digest = hashlib.sha256(f"{self._card}\n{seed}\n{edit.strength!r}\n".encode())
        for values in (edit.reference, edit.indices):
            digest.update(f"{values.dtype}{values.shape}".encode() + np.ascontiguousarray(values).tobytes())
        return folder / f"{digest.hexdigest()[:24]}.png"


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ModalensError(f"The picture {path} is damaged ({error}); delete it and run again.") from error
