"""Encode a store's embeddings with learned features into a store of codes, shard by shard."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from modalens.arrays import Matrix
from modalens.engine.workers import Engine, LocalEngine
from modalens.options import Options, option
from modalens.progress import progress_bar
from modalens.store import CodeStore, EmbeddingStore, ShardContent, StoreWriter
from modalens.store.codes import SIDES, csr_arrays
from modalens.store.manifest import CODES_KIND, Manifest
from modalens.version import __version__


class Encoder(Protocol):
    """Learned features: a sparse autoencoder or a projector."""

    config: Any

    @property
    def device(self) -> Any:
        """Where it encodes."""
        ...

    def encode(self, x: Matrix, modality: str | None = None) -> sp.csr_array:
        """Codes (n, f) of embeddings (n, d)."""
        ...

    def save(self, folder: str | Path) -> None:
        """Write it to a folder, from which workers load it."""
        ...

    def card(self) -> dict[str, Any]:
        """What a manifest records of it: class, configuration, checksum of the weights."""
        ...


@dataclass(frozen=True)
class EncodeConfig(Options):
    """How a store of codes is made. All of it can change its files, so all of it is in the manifest."""

    rows_per_shard: int = option(8192, "Pairs in one shard, the unit a kill can cost.", unit="pairs", least=1)


@dataclass(frozen=True)
class EncodeOn(Options):
    """Where codes are made; it changes them by rounding."""

    device: str | None = option(
        None, "Device to encode on, such as cpu or cuda (default: the best there is)."
    )


def encode_store(
    model: Encoder,
    store: EmbeddingStore,
    out: str | Path,
    *,
    rows_per_shard: int = EncodeConfig.rows_per_shard,
    engine: Engine | None = None,
) -> CodeStore:
    """Encode every pair of a store; run again after a stop, it goes on where it was.

    Parameters
    ----------
    model
        A trained :class:`modalens.TopKSAE` or its kin, or a :class:`modalens.NCL`, on the device to encode on.
    store
        The embeddings it was trained on, or others of the same width.
    out
        Folder of the codes: new, empty, or holding an earlier run of the same model and store.
    rows_per_shard
        Pairs in one shard, the unit that a kill can cost.
    engine
        Who encodes: an open engine (see :func:`~modalens.engine.engines.open_engine`), whose workers must see the
        store, and the folder that ``out`` is in, under the same paths; this process by default.

    Raises
    ------
    ModalensError
        If widths differ, a value is NaN, ``out`` holds another run, or the disk is full.
    """
    config = EncodeConfig(rows_per_shard)
    engine = engine or LocalEngine()
    manifest = store.manifest
    source = (
        {"store": "of unknown origin"} if manifest is None else {"model": manifest.model, **manifest.source}
    )
    plan = Manifest(
        modalens=__version__,
        model=model.card(),
        source=source,
        config=asdict(config),
        d=int(model.config.n_features),
        kind=CODES_KIND,
    )
    with (
        StoreWriter(out, plan) as writer,
        _task(model, store, Path(out), engine) as task,
        progress_bar("Encoding pairs", len(store)) as advance,
    ):
        walk = _Walk(store, rows_per_shard, writer, advance)
        for shard, arrays in engine.map(task, walk, str):
            ids, block = walk.held.pop(shard.index)
            writer.write_shard(shard.index, ids, ShardContent(arrays, _records(block, ids), []))
            advance(len(ids))
        writer.finish(-(-len(store) // rows_per_shard))
    return CodeStore.open(out)


@dataclass(frozen=True)
class _Shard:
    """The rows of one shard."""

    index: int
    start: int
    stop: int

    def __str__(self) -> str:
        return f"shard {self.index}"


class _Walk:
    """The shards that are not made yet; those that are must have been made from the same pairs.

    Ids and metadata of a shard stay in ``held`` until it is written.
    """

    def __init__(
        self, store: EmbeddingStore, rows: int, writer: StoreWriter, advance: Callable[[int], None]
    ) -> None:
        self._store, self._rows, self._writer, self._advance = store, rows, writer, advance
        self.held: dict[int, tuple[list[str], Sequence[pa.RecordBatch]]] = {}

    def __iter__(self) -> Iterator[_Shard]:
        metadata = self._store.metadata_shards.blocks(self._rows)
        for index, start in enumerate(range(0, len(self._store), self._rows)):
            shard = _Shard(index, start, min(start + self._rows, len(self._store)))
            ids = [str(name) for name in self._store.ids[shard.start : shard.stop]]
            block = next(metadata, [])
            if index < len(self._writer.manifest.shards):
                self._writer.check_items(index, ids)
            if self._writer.has_shard(index):
                self._advance(len(ids))
                continue
            self.held[index] = ids, block
            yield shard


@contextmanager
def _task(
    model: Encoder, store: EmbeddingStore, out: Path, engine: Engine
) -> Iterator[Callable[[_Shard], dict[str, np.ndarray]]]:
    """What an engine does with a shard; workers read the features from beside the codes, and the store where it is."""
    if engine.in_process:
        yield partial(_encode, model, store)
        return
    with TemporaryDirectory(prefix=".features-", dir=out.resolve().parent) as folder:
        model.save(folder)
        yield partial(_encode_stored, folder, str(model.device), store.folder.resolve())


def _encode(model: Encoder, store: EmbeddingStore, shard: _Shard) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for side in SIDES:
        arrays |= csr_arrays(side, model.encode(getattr(store, side)[shard.start : shard.stop], side))
    return arrays


def _encode_stored(features: str, device: str, store: Path, shard: _Shard) -> dict[str, np.ndarray]:
    return _encode(*_opened(features, device, store), shard)


@lru_cache(maxsize=1)
def _opened(features: str, device: str, store: Path) -> tuple[Encoder, EmbeddingStore]:
    from modalens.features.loading import load_features  # brings PyTorch

    return load_features(features).to(device), EmbeddingStore.open(store)


def _records(block: Sequence[pa.RecordBatch], ids: Sequence[str]) -> list[dict[str, Any]]:
    """The metadata of some pairs, with their ids where it has none."""
    rows: list[dict[str, Any]] = [row for batch in block for row in batch.to_pylist()]
    if not rows:
        return [{"id": name} for name in ids]
    return [row if "id" in row else {**row, "id": name} for row, name in zip(rows, ids, strict=True)]
