"""What every store of pairs has: a manifest, ids and metadata."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.errors import ModalensError
from modalens.hashing import sha256_of
from modalens.store.manifest import MANIFEST_NAME, Manifest

METADATA_FOLDER = "metadata"
_END_BYTES = 2**20
_ID_COLUMNS = ("id", "key", "image_path")


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
        missing = [name for name in columns or () if name not in self.columns]
        if missing:
            raise ModalensError(
                f"The metadata of {self.folder} has no column {missing[0]!r}; it has {', '.join(self.columns)}."
            )
        frames = []
        for path in shard_files(self.folder, METADATA_FOLDER, ".parquet", self.manifest):
            present = [name for name in columns or self.columns if name in _column_names(path)]
            try:
                frames.append(pq.read_table(path, columns=present).to_pandas())
            except (OSError, pa.ArrowInvalid) as error:
                raise ModalensError(f"The metadata shard {path} cannot be read ({error}).") from error
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(index=range(len(self)))
        if len(frame) != len(self):
            raise ModalensError(f"The metadata of {self.folder} has {len(frame)} rows for {len(self)} pairs.")
        return frame

    @cached_property
    def columns(self) -> list[str]:
        """Names of the metadata columns."""
        shards = shard_files(self.folder, METADATA_FOLDER, ".parquet", self.manifest)
        return list(dict.fromkeys(name for path in shards for name in _column_names(path)))

    @cached_property
    def ids(self) -> np.ndarray:
        """One id a pair, (M,) strings: the metadata's id, key or image_path if unique, else the row number."""
        for name in _ID_COLUMNS:
            if name in self.columns:
                values = self.read_metadata([name])[name]
                if values.is_unique and not values.hasnans:
                    return values.astype(str).to_numpy(dtype=object)
        return np.array([str(row) for row in range(len(self))], dtype=object)

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
        for path in self._shard_paths():
            size = path.stat().st_size
            found.update(f"{path.relative_to(self.folder).as_posix()}\0{size}\0".encode())
            with path.open("rb") as file:
                found.update(file.read(_END_BYTES))
                file.seek(max(0, size - _END_BYTES))
                found.update(file.read(_END_BYTES))
        return found.hexdigest()

    def _shard_paths(self) -> list[Path]:
        # By name: a bare store is a run too, and what is made of it lies beside its shards.
        folders = (("img_emb", ".npy"), ("text_emb", ".npy"), (METADATA_FOLDER, ".parquet"))
        return [
            path for name, suffix in folders for path in shard_files(self.folder, name, suffix, self.manifest)
        ]

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
    def groups(self) -> np.ndarray | None:
        """The image of each pair, (M,), whose captions are not independent; None where every pair has its own."""
        if "image_path" not in self.columns:
            return None
        images = self.read_metadata(["image_path"])["image_path"]
        return None if images.is_unique else images.to_numpy()

    @property
    def modalities(self) -> tuple[str, str]:
        """What the two sides are; codes say it in the card of the model that they were encoded from."""
        cards = [] if self.manifest is None else [self.manifest.model, self.manifest.source.get("model", {})]
        first, second = next(
            (card["modalities"] for card in cards if "modalities" in card), ("image", "text")
        )
        return first, second

    def _check(self, path: Path) -> None:
        """Raise if a shard's file is not what the manifest says."""
        expected = self._checksums.get(path.relative_to(self.folder).as_posix())
        if expected is not None and sha256_of(path) != expected:
            raise ModalensError(f"The shard {path} is damaged: its checksum differs from the manifest's.")

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
    if not folder.is_dir():
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


def _column_names(path: Path) -> list[str]:
    try:
        names: list[str] = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise ModalensError(f"The metadata shard {path} cannot be read ({error}).") from error
    return names


def shard_file(folder: str, index: int, suffix: str) -> str:
    """Name of a shard's file inside a store, e.g. ``img_emb/img_emb_0003.npy``."""
    return f"{folder}/{folder}_{index:04d}{suffix}"


def shard_files(folder: Path, name: str, suffix: str, manifest: Manifest | None) -> list[Path]:
    """The files of one column in row order."""
    if manifest is not None:
        return [folder / f for s in manifest.shards for f in s.files if f.startswith(f"{name}/")]
    numbered = {}
    for path in (folder / name).glob(f"{name}_*{suffix}"):
        match = re.fullmatch(rf"{name}_(\d+)", path.stem)
        if match:
            numbered[int(match[1])] = path
    return [numbered[number] for number in sorted(numbered)]
