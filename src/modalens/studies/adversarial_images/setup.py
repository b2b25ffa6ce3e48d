"""The setup of attack and defence: the tower, the embeddings that images are moved to, and the paths they take."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image

from modalens.progress import progress_bar
from modalens.studies.adversarial_images.attack import Encode, Optimised, approach
from modalens.studies.adversarial_images.cache import AttackCache, checksum
from modalens.studies.adversarial_images.config import Optimisation
from modalens.studies.adversarial_images.tables import PathOfSet
from modalens.towers.differentiable import DifferentiableImages

_CACHED_TOGETHER = 16  # images, so that a kill loses little


@dataclass(frozen=True, eq=False)
class AttackSetup:
    """The tower under attack, and the embeddings that images are moved to.

    Attributes
    ----------
    tower
        With gradients to the pixels.
    encode
        From embeddings to the features under study; None where these are the embeddings' own.
    target, friendly
        Embeddings of each attack's target and of each friendly image, (n, d).
    cache
        Where optimised images are looked up and cache.
    """

    tower: DifferentiableImages
    encode: Encode | None
    target: Float[np.ndarray, "n d"]
    friendly: Float[np.ndarray, "n d"]
    cache: AttackCache

    @property
    def width(self) -> int:
        """Number of features under study."""
        return int(self.features(self.target[:1]).shape[1])

    def features(self, embeddings: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n f"]:
        """Features under study of embeddings."""
        if self.encode is None:
            return embeddings
        with torch.no_grad():
            return self.encode(torch.from_numpy(np.ascontiguousarray(embeddings))).numpy()

    def move(
        self,
        images: Sequence[Image.Image],
        goal: Float[np.ndarray, "n d"],
        indices: Int[np.ndarray, " k"] | None,
        config: Optimisation,
        what: str,
    ) -> list[Optimised]:
        """Move images, those that were not moved so before."""
        there = self.features(goal)
        chosen = np.arange(there.shape[1]) if indices is None else indices
        keys = [
            checksum(asdict(config), np.asarray(image), row, chosen)
            for image, row in zip(images, there, strict=True)
        ]
        missing = [row for row, key in enumerate(keys) if self.cache.image(key) is None]
        with progress_bar(what, len(images)) as advance:
            advance(len(images) - len(missing))
            for start in range(0, len(missing), _CACHED_TOGETHER):
                rows = missing[start : start + _CACHED_TOGETHER]
                moved = approach(
                    self.tower,
                    [images[row] for row in rows],
                    goal[rows],
                    indices,
                    config,
                    encode=self.encode,
                    advance=advance,
                )
                for row, each in zip(rows, moved, strict=True):
                    self.cache.add_image(keys[row], each)
        return [found for key in keys if (found := self.cache.image(key)) is not None]

    def path(
        self,
        name: str,
        kind: str,
        start: Sequence[Image.Image],
        moved: Sequence[Optimised],
        goal: Float[np.ndarray, "n d"],
        indices: Int[np.ndarray, " k"] | None,
    ) -> PathOfSet:
        """The way of images through the space."""
        embeddings = np.stack([each.embeddings for each in moved], axis=1)
        flat = embeddings.reshape(-1, embeddings.shape[2])
        apart = self.features(flat).reshape(*embeddings.shape[:2], -1) - self.features(goal)
        chosen = apart if indices is None else apart[..., indices]
        return PathOfSet(
            name,
            kind,
            moved[0].steps.tolist(),
            cosine_rows(embeddings, self.target),
            cosine_rows(embeddings, self.friendly),
            np.linalg.norm(chosen, axis=-1),
            np.array(
                [
                    np.abs(np.asarray(one.image, dtype=float) - np.asarray(before)).max() / 255
                    for one, before in zip(moved, start, strict=True)
                ]
            ),
        )


def cosine_rows(
    embeddings: Float[np.ndarray, "s n d"], reference: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, "s n"]:
    """Cosine of each embedding to the reference of its image."""
    products = (embeddings * reference).sum(axis=-1)
    lengths = np.linalg.norm(embeddings, axis=-1) * np.linalg.norm(reference, axis=-1)
    cosines: np.ndarray = products / np.maximum(lengths, np.finfo(np.float32).tiny)
    return cosines
