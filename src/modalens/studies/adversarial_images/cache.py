"""Cache of a long study: optimised images and finished tries, so that a second run goes on."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file
from modalens.studies.adversarial_images.attack import Optimised
from modalens.studies.contact_sheet import png_bytes

TRIES_NAME = "tries.jsonl"
_IMAGES_FOLDER = "images"


@dataclass(frozen=True)
class Try:
    """One answer to one image, judged.

    Attributes
    ----------
    key
        A checksum of all that it depends on: image, request, victim, judge, seed and number.
    followed
        Whether the request was followed; None where the judge would not say.
    answer
        The victim's words; None for a user's own requests, whose answers are not cache.
    raw
        What a model said as judge, each time it was asked.
    """

    key: str
    followed: bool | None
    answer: str | None = None
    raw: tuple[str, ...] = ()


class AttackCache:
    """Images and tries, in a folder or, without one, in memory.

    Parameters
    ----------
    folder
        Where ``tries.jsonl`` and ``images/`` are or shall be.

    Raises
    ------
    ModalensError
        If the folder cannot be written, or a line of ``tries.jsonl`` but the last is damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._tries: dict[str, Try] = {}
        self._images: dict[str, Optimised] = {}
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModalensError(f"The folder {folder} cannot be written ({error.strerror}).") from error
        self._path = folder / TRIES_NAME
        self._read()

    def __len__(self) -> int:
        return len(self._tries)

    def find(self, key: str) -> Try | None:
        """The try of a key, if it is finished."""
        return self._tries.get(key)

    def add(self, finished: Try) -> None:
        """Keep a try, at once and for good."""
        self._tries[finished.key] = finished
        if self.folder is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(finished), ensure_ascii=False) + "\n")

    def image(self, key: str) -> Optimised | None:
        """The optimised image of a key, if it is finished."""
        if key in self._images or self.folder is None:
            return self._images.get(key)
        path = self._image_path(key)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as parts:
                image = Image.open(io.BytesIO(parts["png"].tobytes())).convert("RGB")
                self._images[key] = Optimised(image, parts["steps"], parts["embeddings"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise ModalensError(f"{path} is damaged ({error}); delete it and run again.") from error
        return self._images[key]

    def add_image(self, key: str, optimised: Optimised) -> None:
        """Keep an optimised image."""
        self._images[key] = optimised
        if self.folder is None:
            return
        png = np.frombuffer(png_bytes(optimised.image), dtype=np.uint8)
        with whole_file(self._image_path(key)) as partial, partial.open("wb") as file:
            np.savez(file, png=png, steps=optimised.steps, embeddings=optimised.embeddings)

    def _image_path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / _IMAGES_FOLDER / f"{key}.npz"

    def _read(self) -> None:
        if not self._path.exists():
            return
        text = self._path.read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):  # a kill in the middle of a line
            lines.pop()
            with whole_file(self._path) as partial:
                partial.write_text("".join(lines), encoding="utf-8")
        for number, line in enumerate(lines, start=1):
            try:
                values = json.loads(line)
                found = Try(values["key"], values["followed"], values["answer"], tuple(values["raw"]))
            except (ValueError, KeyError, TypeError) as error:
                raise ModalensError(
                    f"Line {number} of {self._path} is damaged; delete that line and run again."
                ) from error
            self._tries[found.key] = found


def checksum(values: Mapping[str, Any], *arrays: np.ndarray) -> str:
    """A short checksum of plain values and arrays."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]
