"""Small stand-ins that behave like the real thing."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.towers.base import VLM


@dataclass(frozen=True)
class ColourImage:
    """A plain image whose colour follows from its name; names with 'broken' cannot be decoded."""

    key: str

    def load(self) -> Image.Image:
        if "broken" in self.key:
            raise ModalensError(f"{self.key} is not an image")
        red, green, blue = hashlib.sha256(self.key.encode()).digest()[:3]
        return Image.new("RGB", (8, 8), (red, green, blue))


class FakePairs(Pairs):
    """Items given as they are; counts how often it is walked."""

    name = "fake:pairs"

    def __init__(self, items: Sequence[Pair | Skipped]) -> None:
        self.items = items

    def scan(self) -> Iterator[Pair | Skipped]:
        return iter(self.items)

    def count(self) -> int:
        return len(self.items)


class FakeVLM(VLM):
    """Embeds by colour and by letters; rounding depends on the batch, as in a real model."""

    name = "fake"
    dim = 6

    def __init__(
        self, die_after: int | None = None, nan_text: str | None = None, revision: str = "1"
    ) -> None:
        self.images_seen: list[int] = []
        self.die_after, self.nan_text, self.revision = die_after, nan_text, revision
        self.weights = np.random.default_rng(0).standard_normal((3, self.dim)).astype(np.float32)

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        if self.die_after is not None and sum(self.images_seen) >= self.die_after:
            raise KeyboardInterrupt
        self.images_seen.append(len(images))
        colours = np.stack([np.asarray(image, dtype=np.float32).mean((0, 1)) for image in images]) / 255
        return colours @ self.weights + np.float32(1e-6) * len(images)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[text.count(letter) for letter in "aeiout"] for text in texts], dtype=np.float32)
        rows[[text == self.nan_text for text in texts]] = np.nan
        return rows

    def card(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "revision": self.revision,
            "size": (8, 8),
            "versions": {"numpy": np.__version__},
        }


def colour_pairs(count: int, captions: int = 1) -> list[Pair | Skipped]:
    """``count`` images with ``captions`` texts each, in order."""
    return [
        Pair(f"{i:03d}-{c}", ColourImage(f"image {i}"), f"text {c} about {i}", {"group": i % 3})
        for i in range(count)
        for c in range(captions)
    ]
