"""Encode a store's embeddings with learned features into a store of codes, shard by shard."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
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
    metadata = store.metadata if "id" in store.columns else store.metadata.assign(id=store.ids)
    shards = range(0, len(store), rows_per_shard)
    with StoreWriter(out, plan) as writer, progress_bar("Encoding pairs", len(store)) as advance:
        for index, start in enumerate(shards):
            rows = slice(start, min(start + rows_per_shard, len(store)))
            ids = [str(name) for name in store.ids[rows]]
            if index < len(writer.manifest.shards):
                writer.check_items(index, ids)
            if not writer.has_shard(index):
                arrays: dict[str, np.ndarray] = {}
                for side in SIDES:
                    arrays |= csr_arrays(side, model.encode(getattr(store, side)[rows], side))
                about: list[Any] = metadata.iloc[rows].to_dict("records")
                writer.write_shard(index, ids, ShardContent(arrays, about, []))
            advance(len(ids))
        writer.finish(len(shards))
    return CodeStore.open(out)
