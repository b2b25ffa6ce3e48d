"""One shard of a store from its items: a pure function, to be run anywhere and in any order."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from modalens.engine.passes import Seconds, map_passes
from modalens.errors import ModalensError
from modalens.options import Options, option
from modalens.pairs.base import Pair, Skipped
from modalens.runs.decoding import batches, decode_ahead
from modalens.store import ShardContent
from modalens.store.shards import IMAGE_FOLDER, TEXT_FOLDER
from modalens.towers import load_vlm
from modalens.towers.base import VLM
from modalens.towers.registry import prefixed_names

DTYPES = ("float32", "float16", "bfloat16")
BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class EmbedConfig(Options):
    """How a store is made. All of it can change the bytes of a store, so all of it is in the manifest.

    Attributes
    ----------
    dtype
        Precision of the embeddings. ``float32``; ``float16``: the same, stored in half the size with 3 digits;
        ``bfloat16``: the model computes in bfloat16 where it can (PyTorch's autocast), twice as fast on a recent
        GPU, with 2 digits. NumPy's files know no bfloat16, so these values are stored as float32, which holds each
        exactly.
    rows_per_shard
        Items of the source that make one shard, the unit that a kill can cost.
    batch_size
        Images or texts in one forward pass.
    """

    dtype: str = option("float32", "Precision of the embeddings.", choices=DTYPES)
    rows_per_shard: int = option(8192, "Pairs in one shard, the unit a kill can cost.", unit="pairs", least=1)
    batch_size: int = option(32, "Images or texts in one forward pass.", least=1)


@dataclass(frozen=True)
class EmbedStep(Options):
    """Which model embeds the pairs, where, and what becomes of bad pairs.

    Attributes
    ----------
    vlm, revision, device
        As :func:`modalens.load_vlm` takes them.
    strict
        Stop at the first item that cannot become a pair, instead of listing it.
    """

    vlm: str = option(
        "demo",
        "A CLIP, SigLIP, BLIP, ALIGN or CLAP by its id on the Hugging Face hub or its folder, or one of "
        f"{prefixed_names()}.",
    )
    revision: str | None = option(None, "Revision of a hub model.")
    device: str | None = option(None, "Device such as cpu or cuda (default: the best there is).")
    strict: bool = option(False, "Stop at the first bad pair.")


@dataclass(frozen=True)
class Shard:
    """What the source gives for one shard."""

    index: int
    items: Sequence[Pair | Skipped]

    @property
    def ids(self) -> list[str]:
        """The items' ids."""
        return [item.id for item in self.items]

    def __str__(self) -> str:
        return f"shard {self.index}"


@dataclass(frozen=True)
class NamedModel:
    """A model as a worker finds it: by its name.

    Attributes
    ----------
    name, revision, device
        As :func:`modalens.load_vlm` takes them.
    card
        What the model must say of itself, as JSON.
    """

    name: str
    revision: str | None
    device: str | None
    card: str

    @classmethod
    def of(cls, vlm: VLM, device: str | None) -> "NamedModel":
        """The name of a model that is at hand."""
        card = vlm.card()
        return cls(vlm.name, card.get("revision"), device, json.dumps(card, sort_keys=True))

    def load(self) -> VLM:
        """The model; one process loads it once.

        Raises
        ------
        ModalensError
            If there is none of this name, or another one.
        """
        return _load(self)


@lru_cache(maxsize=1)
def _load(model: NamedModel) -> VLM:
    try:
        vlm = load_vlm(model.name, revision=model.revision, device=model.device)
    except ModalensError as error:
        raise ModalensError(
            f"Workers load the model by its name, which fails ({error}) - embed with one local worker instead."
        ) from error
    if json.dumps(vlm.card(), sort_keys=True) != model.card:
        raise ModalensError(
            f"A worker finds another model by the name {model.name!r} (other weights or other versions of libraries); "
            "embed with one local worker, or make all machines alike."
        )
    return vlm


def embed_shard_by_name(
    model: NamedModel, config: EmbedConfig, strict: bool, shard: Shard
) -> tuple[ShardContent, Seconds]:
    """:func:`embed_shard` for a worker in another process."""
    return embed_shard(model.load(), config, strict, shard)


def embed_shard(
    vlm: VLM,
    config: EmbedConfig,
    strict: bool,
    shard: Shard,
    advance: Callable[[int], None] | None = None,
) -> tuple[ShardContent, Seconds]:
    """Embed the items of one shard, each image and each text once.

    Depends on nothing but its arguments: an image whose captions lie in two shards is embedded in both.

    Parameters
    ----------
    vlm, config
        The model, and how the store is made.
    strict
        Stop at the first item that cannot become a pair, instead of listing it.
    shard
        The items.
    advance
        Called with the number of items just done.

    Returns
    -------
    content
        Rows, metadata, and the items that became none.
    seconds
        How long the image tower waited for images, and computed.

    Raises
    ------
    ModalensError
        If the model gives NaN, or (``strict``) an item is bad.
    """
    pairs = [item for item in shard.items if isinstance(item, Pair)]
    reasons = {item.id: item.reason for item in shard.items if isinstance(item, Skipped)}
    if strict:
        _stop_at(reasons)
    refs = {pair.ref.key: pair.ref for pair in pairs}
    images = vlm.recall_images(list(refs))
    failures: dict[str, str] = {}
    seconds = Seconds()
    done = 0

    def decoded() -> Iterator[tuple[str, Any]]:
        unknown = [(key, ref) for key, ref in refs.items() if key not in images]
        for key, image, reason in decode_ahead(unknown, 2 * config.batch_size):
            if reason is None:
                yield key, image
                continue
            failures[key] = reason
            if strict:
                _stop_at({key: reason})

    def count(batch: Mapping[str, Any]) -> None:
        nonlocal done
        done += len(batch)
        if advance is not None:
            advance(len(batch))

    def embed_images(batch: Mapping[str, Any]) -> tuple[list[str], np.ndarray]:
        with _precision(config.dtype, vlm):
            return list(batch), vlm.embed_images(list(batch.values()))

    for keys, rows in map_passes(
        embed_images, batches(decoded(), config.batch_size), seconds, vlm.device, count
    ):
        images.update(zip(keys, rows, strict=True))
    reasons |= {pair.id: failures[pair.ref.key] for pair in pairs if pair.ref.key in failures}
    kept = [pair for pair in pairs if pair.ref.key not in failures]
    texts = _embed_texts(vlm, [pair.text for pair in kept], config)
    content = ShardContent(
        arrays={
            IMAGE_FOLDER: _rows(vlm, [images[pair.ref.key] for pair in kept], kept, config.dtype),
            TEXT_FOLDER: _rows(vlm, texts, kept, config.dtype),
        },
        metadata=[
            {"id": pair.id, "caption": pair.text, "image_path": pair.ref.key, **_extra(pair.label)}
            for pair in kept
        ],
        skipped=[{"id": item.id, "reason": reasons[item.id]} for item in shard.items if item.id in reasons],
    )
    if advance is not None:
        advance(len(shard.items) - done)
    return content, seconds


def _embed_texts(vlm: VLM, texts: Sequence[str], config: EmbedConfig) -> list[np.ndarray]:
    def embed_texts(batch: Sequence[str]) -> tuple[Sequence[str], np.ndarray]:
        with _precision(config.dtype, vlm):
            return batch, vlm.embed_texts(batch)

    unique = list(dict.fromkeys(texts))
    if unique:
        embed_texts(unique[:1])  # a tokenizer settles in its first call, which stands no other beside it
    size = config.batch_size
    parts = (unique[start : start + size] for start in range(0, len(unique), size))
    rows: dict[str, np.ndarray] = {}
    for batch, found in map_passes(embed_texts, parts, Seconds(), vlm.device):
        rows.update(zip(batch, found, strict=True))
    return [rows[text] for text in texts]


def _rows(vlm: VLM, rows: Sequence[np.ndarray], kept: Sequence[Pair], dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        matrix: np.ndarray = np.asarray(rows).reshape(len(kept), vlm.dim)
        matrix = _rounded(matrix) if dtype == BFLOAT16 else matrix.astype(dtype)
    bad = ~np.isfinite(matrix).all(axis=1)
    if bad.any():
        pair = kept[int(np.flatnonzero(bad)[0])]
        raise ModalensError(
            f"{vlm.name} gives a NaN or infinite embedding for pair {pair.id!r} in {dtype}; "
            "remove the pair, or use float32 if float16 overflows."
        )
    return matrix


@contextmanager
def _precision(dtype: str, vlm: VLM) -> Iterator[None]:
    """Compute in bfloat16 inside the block, in the thread that enters it, if that is the precision."""
    if dtype != BFLOAT16:
        yield
        return
    import torch

    # Threads would share a cache of weights, and each empty it for the others.
    with torch.autocast(vlm.device.type, torch.bfloat16, cache_enabled=False):
        yield


def _rounded(matrix: np.ndarray) -> np.ndarray:
    """The nearest values that bfloat16 has, as float32."""
    import torch

    return torch.from_numpy(matrix.astype(np.float32)).bfloat16().float().numpy()


def _stop_at(reasons: Mapping[str, str]) -> None:
    for name, reason in reasons.items():
        raise ModalensError(f"{name}: {reason}")


def _extra(label: Mapping[str, Any]) -> dict[str, Any]:
    """The label's columns, kept apart from the store's own."""
    own = ("id", "caption", "image_path")
    return {f"label_{name}" if name in own else name: value for name, value in label.items()}
