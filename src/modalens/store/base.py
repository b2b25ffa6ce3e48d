"""What every store of pairs has: a manifest, ids and metadata."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.errors import InputError, ModalensError, StoreError
from modalens.hashing import sha256_of
from modalens.store.manifest import MANIFEST_NAME, Manifest
from modalens.store.metadata import MetadataShards, find_label
from modalens.store.shards import METADATA_FOLDER, found_files, manifest_files
from modalens.store.texts import Texts

_END_BYTES = 2**20
_ID_COLUMNS = ("id", "key", "image_path")
IMAGE_COLUMN = "image_path"
SPLIT_COLUMN = "split"


class PairStore:
    """Paired matrices with their ids and metadata.

    Attributes
    ----------
    image, text
        Lazy matrices of shape (M, D); row i of one is the pair of row i of the other.
    manifest : Manifest or None
        What made the store; None for a store that modalens did not write.
    """

    image: Any
    text: Any

    def __init__(self, folder: Path, manifest: Manifest | None) -> None:
        self.folder = folder
        self.manifest = manifest
        # Of a store without a manifest, its files by folder.
        self._found = found_files(folder) if manifest is None else {}

    def __len__(self) -> int:
        return int(self.image.shape[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}, pairs={len(self)}, d={self.image.shape[1]})"

    @cached_property
    def metadata(self) -> pd.DataFrame:
        """What is known of each pair: id, caption, image_path and the source's labels, M rows."""
        return self.read_metadata()

    def read_metadata(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Some columns of the metadata (all by default), M rows.

        Raises
        ------
        ModalensError
            If a metadata shard is damaged or has not a row for each pair, or a column is missing.
        """
        for name in columns or ():
            self.require_column(name)
        frame = self.metadata_shards.read(self.columns if columns is None else columns)
        return frame if len(frame.columns) else pd.DataFrame(index=range(len(self)))

    @cached_property
    def metadata_shards(self) -> MetadataShards:
        """The files of the metadata."""
        files = self._files(METADATA_FOLDER)
        return MetadataShards(files, self._shard_lengths() if files else [], self._check)

    @property
    def columns(self) -> list[str]:
        """Names of the metadata columns."""
        return self.metadata_shards.columns

    def labels(self, column: str) -> np.ndarray:
        """A metadata column of any type as text, (M,) objects; None where a pair has no value.

        Raises
        ------
        ModalensError
            If a metadata shard is damaged, or there is no such column.
        """
        self.require_column(column)
        return self.metadata_shards.labels(column)

    def values(self, column: str) -> np.ndarray:
        """A metadata column as Python has its values, (M,) objects; None where a pair has none.

        Whole numbers stay whole beside nulls, which pandas would make floats.
        """
        self.require_column(column)
        return self.metadata_shards.values(column)

    def groups_by(self, column: str) -> Int[np.ndarray, " M"]:
        """The group of each pair by a metadata column, numbered from 0 in order of appearance.

        Pairs with the same value are one group; a pair without a value is a group of its own.
        """
        self.require_column(column)
        return self.metadata_shards.numbers(column)

    def rows_by_split(self) -> dict[str, Int[np.ndarray, " k"]]:
        """Row numbers of each value of the column ``split``; empty where there is no such column."""
        return self.metadata_shards.rows_by_label(SPLIT_COLUMN) if SPLIT_COLUMN in self.columns else {}

    def rows_of_split(self, split: str | None) -> Int[np.ndarray, " k"]:
        """Row numbers of the pairs whose column ``split`` is this; all pairs for None.

        Raises
        ------
        ModalensError
            If there is no such pair, or no such column.
        """
        if split is None:
            return np.arange(len(self))
        rows = self.rows_by_split()
        found = find_label(split, rows)
        if found is None:
            there = f"there are {', '.join(rows)}" if rows else f"its metadata has no column {SPLIT_COLUMN!r}"
            raise InputError(f"No pair of {self.folder} has split {split!r}; {there}.")
        return rows[found]

    @cached_property
    def image_numbers(self) -> Int[np.ndarray, " M"] | None:
        """The image of each pair as :meth:`groups_by` numbers it; None where the metadata names none."""
        return self.groups_by(IMAGE_COLUMN) if IMAGE_COLUMN in self.columns else None

    @cached_property
    def ids(self) -> Texts:
        """One id a pair, M texts: the metadata's id, key or image_path if unique, else the row number."""
        own = self.own_ids
        return Texts.of(str(row) for row in range(len(self))) if own is None else own

    @cached_property
    def own_ids(self) -> Texts | None:
        """The ids that the metadata give, M texts; None where it has no unique id, key or image_path."""
        for name in _ID_COLUMNS:
            if self.columns and self.metadata_shards.holds_text(name):
                if (found := self.metadata_shards.texts(name)) is not None:
                    return found
            elif name in self.columns:
                values = self.read_metadata([name])[name]
                if values.is_unique and not values.hasnans:
                    return Texts.of(values.astype(str))
        return None

    @cached_property
    def digest(self) -> str:
        """Checksum of everything in the store, metadata included.

        It follows from the checksums in the manifest. Of a store without one the names, the sizes and both ends of
        all files count, since reading terabytes to see that nothing changed would cost more than it saves.
        """
        found = hashlib.sha256()
        if self.manifest is not None:
            for shard in self.manifest.shards:
                found.update(json.dumps(shard.files, sort_keys=True).encode())
            return found.hexdigest()
        # By name: a bare store is a run too, and what is made of it lies beside its shards.
        for path in (path for files in self._found.values() for path in files):
            size = path.stat().st_size
            found.update(f"{path.relative_to(self.folder).as_posix()}\0{size}\0".encode())
            with path.open("rb") as file:
                found.update(file.read(_END_BYTES))
                file.seek(max(0, size - _END_BYTES))
                found.update(file.read(_END_BYTES))
        return found.hexdigest()

    def identity(self) -> dict[str, Any]:
        """What a result made from this store records of it.

        ``model`` is the name of the model that embedded the pairs, ``card_sha256`` the checksum of its card (weights
        and preprocessing, without versions of libraries), and ``sha256`` the digest of what is in the store.
        """
        model = {} if self.manifest is None else self.manifest.model
        card = {name: value for name, value in model.items() if name != "versions"}
        return {
            "model": str(model.get("model", model.get("class", "unknown"))),
            "card_sha256": hashlib.sha256(json.dumps(card, sort_keys=True, default=str).encode()).hexdigest(),
            "sha256": self.digest,
        }

    @cached_property
    def groups(self) -> Int[np.ndarray, " M"] | None:
        """The image of each pair, whose captions are not independent, by number; None where every pair has its own."""
        images = self.image_numbers
        return None if images is None or int(images.max()) + 1 == len(images) else images

    @property
    def modalities(self) -> tuple[str, str]:
        """What the two sides are; codes say it in the card of the model that they were encoded from."""
        cards = [] if self.manifest is None else [self.manifest.model, self.manifest.source.get("model", {})]
        first, second = next(
            (card["modalities"] for card in cards if "modalities" in card), ("image", "text")
        )
        return first, second

    def _files(self, name: str) -> list[Path]:
        """The files of one column in row order."""
        if self.manifest is None:
            return list(self._found[name])
        return manifest_files(self.folder, name, self.manifest)

    def _shard_lengths(self) -> list[int]:
        """Pairs in each shard that has files."""
        if self.manifest is None:
            lengths: list[int] = self.image.lengths
            return lengths
        return [shard.rows for shard in self.manifest.shards if shard.rows]

    def require_column(self, name: str) -> None:
        """Raise if the metadata has no such column."""
        if name not in self.columns:
            there = f"it has {', '.join(self.columns)}" if self.columns else "it has none at all"
            raise InputError(f"The metadata of {self.folder} has no column {name!r}; {there}.")

    def _check(self, path: Path) -> None:
        """Raise if a shard's file is not what the manifest says."""
        expected = self._checksums.get(path.relative_to(self.folder).as_posix())
        if expected is None:
            return
        if not path.is_file():
            raise StoreError(f"The shard {path} is missing; bring it back, or make the store again.")
        if sha256_of(path) != expected:
            raise StoreError(
                f"The shard {path} is damaged: its checksum differs from the manifest's; make the store again with the "
                "command that made it."
            )

    @cached_property
    def _checksums(self) -> Mapping[str, str]:
        return (
            {} if self.manifest is None else {k: v for s in self.manifest.shards for k, v in s.files.items()}
        )


def finished_manifest(folder: Path, kind: str) -> Manifest | None:
    """The manifest of a finished store with pairs in it; None if there is none.

    Raises
    ------
    ModalensError
        If there is no such folder, or the store is unfinished, empty or of another kind.
    """
    try:
        there = folder.is_dir()
    except OSError as refused:  # a name too long, a folder that others may not enter
        raise ModalensError(f"The store {folder} cannot be read: {refused.strerror}.") from refused
    if not there:
        raise ModalensError(f"There is no store at {folder}; embed some pairs into it first.")
    if not (folder / MANIFEST_NAME).exists():
        return None
    manifest = Manifest.load(folder, kind)
    if not manifest.complete:
        raise ModalensError(
            f"The store {folder} is unfinished ({manifest.rows} pairs so far): "
            "run the same command again and it goes on where it stopped."
        )
    if manifest.rows == 0:
        raise ModalensError(f"The store {folder} holds no pairs: everything in its source was skipped.")
    return manifest
