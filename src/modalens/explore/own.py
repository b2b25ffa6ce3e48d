"""Sentences and pictures of the reader's own, embedded by the run's model; the last few are remembered."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.errors import InputError
from modalens.explore.opened import OpenedRun
from modalens.pairs.images import decode_rgb
from modalens.pairs.modality import IMAGE, Preview, many
from modalens.pairs.text import clean_caption

MOST_TEXT = 2000
"""Letters of a sentence."""
MOST_BYTES = 16 * 2**20
"""Bytes of a picture's file."""
MOST_PIXELS = 40_000_000
"""Pixels of a picture."""
_KEPT = 64


@dataclass(frozen=True)
class OwnSample:
    """One sample: ``side`` is image or text, ``shown`` what the page calls it."""

    key: str
    side: str
    shown: str
    embedding: Float[np.ndarray, "1 d"]
    preview: Preview | None = None


class OwnSamples:
    """What was embedded of late, by run and key."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, str], OwnSample] = OrderedDict()

    def get(self, run: OpenedRun, key: str) -> OwnSample:
        """A sample that was embedded before.

        Raises
        ------
        InputError
            If it was not, or is forgotten.
        """
        with self._lock:
            found = self._kept.get((run.key, key))
        if found is None:
            raise InputError("This sentence or picture is no longer remembered; give it again.")
        return found

    def text(self, run: OpenedRun, text: Any) -> OwnSample:
        """Embed a sentence.

        Raises
        ------
        ModalensError
            If it is empty, too long, or the model cannot be loaded.
        """
        if not isinstance(text, str) or not text.strip():
            raise InputError("Write a sentence first.")
        if len(text) > MOST_TEXT:
            raise InputError(f"The sentence has {len(text):,} letters; give at most {MOST_TEXT:,}.")
        shown = clean_caption(text)
        key = "t" + hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return self._made(run, key, "text", shown, None)

    def picture(self, run: OpenedRun, data: bytes) -> OwnSample:
        """Embed a picture.

        Raises
        ------
        ModalensError
            If it is no picture, too large, or the model cannot be loaded or takes no pictures.
        """
        if run.store.modalities[0] != IMAGE.name:
            raise InputError(f"The run is of {many(run.store.modalities[0])}; give it a sentence.")
        if len(data) > MOST_BYTES:
            raise InputError(f"The picture has {len(data):,} bytes; give at most {MOST_BYTES:,}.")
        key = "i" + hashlib.sha256(data).hexdigest()[:24]
        image = decode_rgb(lambda: BytesIO(data), "that was given", MOST_PIXELS)
        return self._made(run, key, "image", "Your picture", image)

    def _made(self, run: OpenedRun, key: str, side: str, shown: str, image: Any) -> OwnSample:
        with self._lock:
            if (run.key, key) in self._kept:
                self._kept.move_to_end((run.key, key))
                return self._kept[run.key, key]
        with run.working:
            vlm = run.vlm()
            embedding = vlm.embed_texts([shown]) if image is None else vlm.embed_images([image])
        preview = None if image is None else IMAGE.preview(image, 2.0)
        made = OwnSample(key, side, shown, np.asarray(embedding, dtype=np.float32), preview)
        with self._lock:
            self._kept[run.key, key] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made
