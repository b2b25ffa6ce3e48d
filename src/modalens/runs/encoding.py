"""Encode a store's embeddings with learned features into a store of codes, shard by shard."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from modalens.arrays import Matrix
from modalens.options import Options, option
from modalens.progress import progress_bar
from modalens.store import CodeStore, EmbeddingStore, ShardContent, StoreWriter
from modalens.store.codes import SIDES, csr_arrays
from modalens.store.manifest import CODES_KIND, Manifest
from modalens.version import __version__


class Encoder(Protocol):
    """Learned features: a sparse autoencoder or a projector."""

    config: Any

    def encode(self, x: Matrix, modality: str | None = None) -> sp.csr_array:
        """Codes (n, f) of embeddings (n, d)."""
        ...

    def card(self) -> dict[str, Any]:
        """What a manifest records of it: class, configuration, checksum of the weights."""
        ...


@dataclass(frozen=True)
class EncodeConfig(Options):
    """How a store of codes is made. All of it can change its files, so all of it is in the manifest."""

    rows_per_shard: int = option(8192, "Pairs in one shard, the unit a kill can cost.", unit="pairs", least=1)


def encode_store(
    model: Encoder,
    store: EmbeddingStore,
    out: str | Path,
    *,
    rows_per_shard: int = EncodeConfig.rows_per_shard,
) -> CodeStore:
    """Encode every pair of a store; run again after a stop, it goes on where it was.

    Parameters
    ----------
    model
        A trained :class:`modalens.TopKSAE` or its kin, or a :class:`modalens.NCL`.
    store
        The embeddings it was trained on, or others of the same width.
    out
        Folder of the codes: new, empty, or holding an earlier run of the same model and store.
    rows_per_shard
        Pairs in one shard, the unit that a kill can cost.

    Raises
    ------
    ModalensError
        If widths differ, a value is NaN, ``out`` holds another run, or the disk is full.
    """
    config = EncodeConfig(rows_per_shard)
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
    metadata = store.metadata_shards.blocks(rows_per_shard)
    shards = range(0, len(store), rows_per_shard)
    with StoreWriter(out, plan) as writer, progress_bar("Encoding pairs", len(store)) as advance:
        for index, start in enumerate(shards):
            rows = slice(start, min(start + rows_per_shard, len(store)))
            ids = [str(name) for name in store.ids[rows]]
            block = next(metadata, [])
            if index < len(writer.manifest.shards):
                writer.check_items(index, ids)
            if not writer.has_shard(index):
                arrays: dict[str, np.ndarray] = {}
                for side in SIDES:
                    arrays |= csr_arrays(side, model.encode(getattr(store, side)[rows], side))
                writer.write_shard(index, ids, ShardContent(arrays, _records(block, ids), []))
            advance(len(ids))
        writer.finish(len(shards))
    return CodeStore.open(out)


def _records(block: Sequence[pa.RecordBatch], ids: Sequence[str]) -> list[dict[str, Any]]:
    """The metadata of some pairs, with their ids where it has none."""
    rows: list[dict[str, Any]] = [row for batch in block for row in batch.to_pylist()]
    if not rows:
        return [{"id": name} for name in ids]
    return [row if "id" in row else {**row, "id": name} for row, name in zip(rows, ids, strict=True)]
