"""Embed pairs with a model into a store, shard by shard."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import modalens
from modalens.errors import ModalensError
from modalens.pairs.base import ImageRef, Pair, Pairs, Skipped
from modalens.progress import progress_bar
from modalens.store import EmbeddingStore, ShardContent, StoreWriter
from modalens.store.embeddings import IMAGE_FOLDER, TEXT_FOLDER
from modalens.store.manifest import Manifest
from modalens.towers.base import VLM

logger = logging.getLogger(__name__)

DTYPES = ("float32", "float16")
_DECODE_THREADS = 4
# Images remembered across shards, so that captions of one image cost one forward pass. Bounded, since a
# source may hold billions; captions of one image stand close together in every source we know.
_REMEMBERED_IMAGES = 1_000_000


@dataclass(frozen=True)
class EmbedConfig:
    """How a store is made. All of it can change the bytes of a store, so all of it is in the manifest.

    Attributes
    ----------
    dtype
        ``float32`` or ``float16`` (half the size, 3 digits).
    rows_per_shard
        Items of the source that make one shard, the unit that a kill can cost.
    batch_size
        Images or texts in one forward pass.
    """

    dtype: str = "float32"
    rows_per_shard: int = 8192
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ModalensError(f"dtype is {self.dtype!r}; it must be one of {', '.join(DTYPES)}.")
        for name in ("rows_per_shard", "batch_size"):
            if getattr(self, name) < 1:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must be at least 1.")


def embed(
    pairs: Pairs | Iterable[Pair],
    vlm: VLM,
    out: str | Path,
    *,
    dtype: str = "float32",
    rows_per_shard: int = 8192,
    batch_size: int = 32,
    strict: bool = False,
) -> EmbeddingStore:
    """Embed pairs into a store on disk; run again after a stop, it goes on where it was.

    An image that several captions share is embedded once. Finished shards are never made again, and
    the result is byte for byte that of an unbroken run.

    Parameters
    ----------
    pairs
        A source from :func:`modalens.load_pairs`, or any iterable of :class:`modalens.Pair`.
    vlm
        A model from :func:`modalens.load_vlm`.
    out
        The store's folder: new, empty, or holding an earlier run of the same configuration.
    dtype, rows_per_shard, batch_size
        See :class:`EmbedConfig`.
    strict
        Stop at the first item that cannot become a pair, instead of listing it in the manifest.

    Raises
    ------
    ModalensError
        If ``out`` holds another run or is being written to, the source has changed since, the model
        gives NaN, the disk is full, nothing is left to embed, or (``strict``) an item is bad.
    """
    config = EmbedConfig(dtype, rows_per_shard, batch_size)
    plan = Manifest(
        modalens=modalens.__version__,
        model=vlm.card(),
        source=pairs.card() if isinstance(pairs, Pairs) else {"source": "pairs given in memory"},
        config=asdict(config),
        d=vlm.dim,
    )
    total = pairs.count() if isinstance(pairs, Pairs) else None
    with StoreWriter(out, plan) as writer:
        if writer.complete and isinstance(pairs, Pairs) and total is None:
            return EmbeddingStore.open(out)  # walking the source again could take hours and change nothing
        embedder = _ShardEmbedder(vlm, config, writer, strict)
        items = pairs.scan() if isinstance(pairs, Pairs) else iter(pairs)
        shards = 0
        with progress_bar("Embedding pairs", total) as advance:
            for shard in _chunks(items, rows_per_shard):
                embedder.run(shards, shard, advance)
                shards += 1
        if writer.manifest.rows:
            writer.finish(shards)
    skipped = writer.manifest.skipped
    if not writer.manifest.rows:
        because = f", the first because: {skipped[0]['id']}: {skipped[0]['reason']}" if skipped else ""
        raise ModalensError(f"The source gave no pair to embed ({len(skipped)} items skipped{because}).")
    if skipped:
        logger.warning(
            "%d items were skipped; they are listed in %s", len(skipped), Path(out) / "manifest.json"
        )
    return EmbeddingStore.open(out)


class _ShardEmbedder:
    """Turns the source's items into shards, remembering where each image already lies."""

    def __init__(self, vlm: VLM, config: EmbedConfig, writer: StoreWriter, strict: bool) -> None:
        self.vlm, self.config, self.writer, self.strict = vlm, config, writer, strict
        self.row_of_image: dict[str, tuple[int, int]] = {}  # image key -> (shard, row)

    def run(self, index: int, items: Sequence[Pair | Skipped], advance: Callable[[int], None]) -> None:
        ids = [item.id for item in items]
        if index < len(self.writer.manifest.shards):
            self.writer.check_items(index, ids)
        if self.writer.has_shard(index):
            skipped = {item["id"] for item in self.writer.manifest.shards[index].skipped}
            kept = [item for item in items if isinstance(item, Pair) and item.id not in skipped]
            advance(len(items))
        else:
            images_done = 0

            def one_batch(images: int) -> None:
                nonlocal images_done
                images_done += images
                advance(images)

            content, kept = self._embed(items, one_batch)
            self.writer.write_shard(index, ids, content)
            advance(len(items) - images_done)
        for row, pair in enumerate(kept):
            self.row_of_image.setdefault(pair.ref.key, (index, row))
        while len(self.row_of_image) > _REMEMBERED_IMAGES:
            del self.row_of_image[next(iter(self.row_of_image))]

    def _embed(
        self, items: Sequence[Pair | Skipped], advance: Callable[[int], None]
    ) -> tuple[ShardContent, list[Pair]]:
        pairs = [item for item in items if isinstance(item, Pair)]
        reasons = {item.id: item.reason for item in items if isinstance(item, Skipped)}
        self._stop_if_strict(reasons)
        images, failures = self._embed_images({pair.ref.key: pair.ref for pair in pairs}, advance)
        reasons |= {pair.id: failures[pair.ref.key] for pair in pairs if pair.ref.key in failures}
        kept = [pair for pair in pairs if pair.ref.key not in failures]
        texts = self._embed_texts([pair.text for pair in kept])
        dtype = np.dtype(self.config.dtype)
        content = ShardContent(
            arrays={
                IMAGE_FOLDER: self._rows([images[pair.ref.key] for pair in kept], kept, dtype),
                TEXT_FOLDER: self._rows(texts, kept, dtype),
            },
            metadata=[
                {"id": pair.id, "caption": pair.text, "image_path": pair.ref.key, **_extra(pair.label)}
                for pair in kept
            ],
            skipped=[{"id": item.id, "reason": reasons[item.id]} for item in items if item.id in reasons],
        )
        return content, kept

    def _embed_images(
        self, refs: Mapping[str, ImageRef], advance: Callable[[int], None]
    ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Embeddings of the images that can be decoded, and why the others cannot."""
        known = {key: self._stored(key) for key in refs if key in self.row_of_image}
        known |= self.vlm.recall_images([key for key in refs if key not in known])
        failures: dict[str, str] = {}
        batch: dict[str, Image.Image] = {}

        def flush() -> None:
            if batch:
                known.update(zip(batch, self.vlm.embed_images(list(batch.values())), strict=True))
                advance(len(batch))
                batch.clear()

        for key, image in _decode_ahead(
            {k: r for k, r in refs.items() if k not in known}, self.config.batch_size
        ):
            if isinstance(image, str):
                failures[key] = image
                self._stop_if_strict({key: image})
                continue
            batch[key] = image
            if len(batch) == self.config.batch_size:
                flush()
        flush()
        return known, failures

    def _embed_texts(self, texts: Sequence[str]) -> list[np.ndarray]:
        unique = list(dict.fromkeys(texts))
        rows: dict[str, np.ndarray] = {}
        for start in range(0, len(unique), self.config.batch_size):
            batch = unique[start : start + self.config.batch_size]
            rows.update(zip(batch, self.vlm.embed_texts(batch), strict=True))
        return [rows[text] for text in texts]

    def _stored(self, key: str) -> np.ndarray:
        shard, row = self.row_of_image[key]
        return self.writer.image_row(shard, row)

    def _rows(self, rows: Sequence[np.ndarray], kept: Sequence[Pair], dtype: np.dtype) -> np.ndarray:
        matrix = np.asarray(rows).reshape(len(kept), self.vlm.dim).astype(dtype)
        bad = ~np.isfinite(matrix).all(axis=1)
        if bad.any():
            pair = kept[int(np.flatnonzero(bad)[0])]
            raise ModalensError(
                f"{self.vlm.name} gives a NaN or infinite embedding for pair {pair.id!r} in {dtype}; "
                "remove the pair, or use float32 if float16 overflows."
            )
        return matrix

    def _stop_if_strict(self, reasons: Mapping[str, str]) -> None:
        if self.strict:
            for name, reason in reasons.items():
                raise ModalensError(f"{name}: {reason}")


def _decode_ahead(refs: Mapping[str, ImageRef], ahead: int) -> Iterator[tuple[str, Image.Image | str]]:
    """Decode images in threads, in order, at most ``ahead`` in advance; a str says why one failed."""
    with ThreadPoolExecutor(_DECODE_THREADS) as pool:
        waiting: dict[str, Future[Image.Image]] = {}
        upcoming = iter(refs.items())
        while True:
            for key, ref in islice(upcoming, ahead - len(waiting)):
                waiting[key] = pool.submit(ref.load)
            if not waiting:
                return
            key = next(iter(waiting))
            try:
                yield key, waiting.pop(key).result()
            except ModalensError as error:
                yield key, str(error)


def _chunks(items: Iterator[Pair | Skipped], size: int) -> Iterator[list[Pair | Skipped]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _extra(label: Mapping[str, Any]) -> dict[str, Any]:
    """The label's columns, kept apart from the store's own."""
    own = ("id", "caption", "image_path")
    return {f"label_{name}" if name in own else name: value for name, value in label.items()}
