"""The pairs of a run for a page that shows one at a time: ids, captions and labels in a file that is memory-mapped."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from jaxtyping import Float

from modalens.arrays import normalize_rows, read_rows
from modalens.errors import StoreError
from modalens.pairs.text import escape_name
from modalens.store import EmbeddingStore
from modalens.store.atomic import whole_file
from modalens.store.base import IMAGE_COLUMN
from modalens.store.kept import Kept, kept_or_made
from modalens.store.metadata import PARQUET_DAMAGE, label_text
from modalens.store.npy import open_npy

CAPTION = "caption"
COSINE = "cosine.npy"
_TABLE = "pairs.arrow"
_LAYOUT = 1
_ROWS = 16_384
_LONGEST = 2000


@dataclass(frozen=True)
class PairIndex:
    """Every pair of a store.

    Attributes
    ----------
    table
        Columns of text: ``id``, ``caption`` and the labels of the metadata; memory-mapped.
    cosine
        Cosine of a pair's two embeddings, (M,).
    """

    table: pa.Table
    cosine: Float[np.ndarray, " M"]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def labels(self) -> list[str]:
        """Names of the metadata columns beside id and caption."""
        return [name for name in self.table.column_names if name not in ("id", CAPTION)]

    def one(self, row: int) -> dict[str, Any]:
        """What is known of a pair, by column; None where it has no value."""
        found: dict[str, Any] = self.table.slice(row, 1).to_pylist()[0]
        return found

    def values(self, column: str, rows: np.ndarray) -> list[str | None]:
        """A column of some pairs."""
        found: list[str | None] = self.table.column(column).take(pa.array(rows)).to_pylist()
        return found

    def coded(self, column: str, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Values of a column, those of most pairs first, and where the value of each pair stands there; -1 for none."""
        found = self.table.column(column).take(pa.array(rows)).combine_chunks().dictionary_encode()
        codes = found.indices.fill_null(-1).to_numpy()
        counts = np.bincount(codes[codes >= 0], minlength=len(found.dictionary))
        order = np.argsort(-counts, kind="stable")
        places = np.append(np.argsort(order), -1)
        return found.dictionary.take(pa.array(order)).to_pylist(), places[codes]


def pair_index(store: EmbeddingStore, folder: Path) -> PairIndex:
    """The index of a store's pairs, made once and kept in the folder.

    Raises
    ------
    ModalensError
        If the store is damaged, or another process is making the index.
    """
    inputs = {"layout": _LAYOUT, "embeddings": store.digest}
    kept = Kept(folder, "the index of the pairs", inputs, "modalens explore")

    def make() -> PairIndex:
        with whole_file(folder / _TABLE) as partial:
            _write(store, partial)
        with whole_file(folder / COSINE) as partial, partial.open("wb") as file:
            np.save(file, _cosines(store))
        return _load(folder)

    return kept_or_made(kept, lambda: _load(folder), make)


def _load(folder: Path) -> PairIndex:
    try:
        table = pyarrow.ipc.open_file(pa.memory_map(str(folder / _TABLE))).read_all()
    except PARQUET_DAMAGE as error:
        raise StoreError(f"{folder / _TABLE} cannot be read; remove {folder} and explore again.") from error
    return PairIndex(table, open_npy(folder / COSINE, 1, "f", f"remove {folder} and explore again"))


def _write(store: EmbeddingStore, path: Path) -> None:
    labels = [name for name in store.columns if name not in ("id", CAPTION, IMAGE_COLUMN)]
    names = [CAPTION, *labels] if CAPTION in store.columns else labels
    schema = pa.schema([(name, pa.string()) for name in ("id", CAPTION, *labels)])
    columns: list[Iterator[str | None]] = [store.metadata_shards.iter_labels(name) for name in names]
    with pa.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, schema) as writer:
        for start in range(0, len(store), _ROWS):
            ids = store.ids[start : start + _ROWS]
            parts = [[_short(name) for name in ids]]
            if CAPTION not in store.columns:
                parts.append([None] * len(ids))
            parts += [[_short(next(column)) for _ in range(len(ids))] for column in columns]
            writer.write_batch(pa.record_batch(parts, schema=schema))


def _short(value: Any) -> Any:
    text = label_text(value)
    return None if text is None else escape_name(text[:_LONGEST])


def _cosines(store: EmbeddingStore) -> np.ndarray:
    found = np.empty(len(store), dtype=np.float32)
    for start in range(0, len(store), _ROWS):
        stop = min(start + _ROWS, len(store))
        sides = [
            normalize_rows(read_rows(side, start, stop, "embeddings"))[0]
            for side in (store.image, store.text)
        ]
        found[start:stop] = (sides[0] * sides[1]).sum(axis=1)
    return found
