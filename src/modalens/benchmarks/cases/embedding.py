"""Embedding photos, beside transformers by hand and the bare tower."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from modalens.benchmarks.case import Case, Place
from modalens.benchmarks.cases.data import write_photos
from modalens.engine.engines import open_engine
from modalens.engine.passes import Seconds, map_passes
from modalens.pairs.sources import load_pairs
from modalens.recipes.stand_ins import random_clip
from modalens.runs.embedding import Effort, embed_with
from modalens.runs.shards import EmbedConfig
from modalens.store import EmbeddingStore
from modalens.towers import load_vlm
from modalens.towers.quiet import quiet
from modalens.towers.transformers_dual import pooled


def embed(at: Place, *, photos: int, batch: int, width: int, layers: int, side: int, patch: int) -> Case:
    """Embedding a folder of photos with a CLIP of random weights.

    Beside it transformers by hand, one batch after another, and as the floor the same model on tensors that were
    decoded, resized and cut into tokens before.
    """
    with quiet():
        clip = random_clip(at.folder / "clip", width=width, layers=layers, side=side, patch=patch)
        by_hand = _ByHand(clip, at.device)
    write_photos(at.folder / "photos", photos)
    vlm: Any = load_vlm(str(clip), device=at.device)
    pairs = load_pairs(f"folder:{at.folder / 'photos'}")
    files = sorted((at.folder / "photos").glob("*.jpg"))
    ready = [by_hand.inputs(each) for each in _batches(files, batch)]

    def ours() -> tuple[EmbeddingStore, Effort]:
        out = at.folder / f"store-{len(list(at.folder.iterdir()))}"
        with open_engine() as engine:
            return embed_with(engine, pairs, vlm, out, EmbedConfig(batch_size=batch))

    def floor() -> None:
        for tower, inputs in zip((by_hand.images, by_hand.texts), zip(*ready, strict=True), strict=True):
            map_passes(tower, iter(inputs), Seconds(), vlm.device)

    def difference(made: tuple[EmbeddingStore, Effort], plain: list[np.ndarray]) -> float:
        store = made[0]
        sides = zip((store.image[:], store.text[:]), plain, strict=True)
        return max(float(np.abs(found - wanted).max()) for found, wanted in sides)

    return Case(
        ours=ours,
        theirs=lambda: by_hand.embed(files, batch),
        floor=floor,
        difference=difference,
        tolerance=1e-4,
        repeats=2,
        warm_up=lambda: by_hand.embed(files[:2], batch),
        facts=lambda made: {"share of time waiting for data": made[1].seconds.share_waiting or 0.0},
    )


class _ByHand:
    """A saved CLIP as transformers loads it."""

    def __init__(self, folder: Path, device: str) -> None:
        transformers: Any = import_module("transformers")
        given = {"local_files_only": True}
        self._model = transformers.CLIPModel.from_pretrained(folder, **given).to(device).eval()
        self._tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, **given)
        self._processor = transformers.CLIPImageProcessorPil.from_pretrained(folder, **given)

    def inputs(self, files: Sequence[Path]) -> tuple[Any, Any]:
        """Tensors of photos, and of the captions beside them."""
        images = [Image.open(path).convert("RGB") for path in files]
        texts = [path.with_suffix(".txt").read_text() for path in files]
        return (
            self._processor(images, return_tensors="pt").to(self._model.device),
            self._tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt").to(
                self._model.device
            ),
        )

    @torch.inference_mode()
    def images(self, inputs: Any) -> np.ndarray:
        """Embeddings (n, d) of images."""
        found: np.ndarray = pooled(self._model.get_image_features(**inputs)).float().cpu().numpy()
        return found

    @torch.inference_mode()
    def texts(self, inputs: Any) -> np.ndarray:
        """Embeddings (n, d) of texts."""
        found: np.ndarray = pooled(self._model.get_text_features(**inputs)).float().cpu().numpy()
        return found

    def embed(self, files: Sequence[Path], batch: int) -> list[np.ndarray]:
        """Both, one batch after another."""
        made = []
        for some in _batches(files, batch):
            images, texts = self.inputs(some)
            made.append((self.images(images), self.texts(texts)))
        return [np.concatenate(side) for side in zip(*made, strict=True)]


def _batches(files: Sequence[Path], batch: int) -> list[Sequence[Path]]:
    return [files[start : start + batch] for start in range(0, len(files), batch)]
