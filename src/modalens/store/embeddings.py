"""Embeddings of pairs on disk, in the layout that clip-retrieval writes and reads."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.errors import ModalensError
from modalens.store.atomic import sha256_of
from modalens.store.columns import ShardedColumn
from modalens.store.manifest import MANIFEST_NAME, Manifest

IMAGE_FOLDER, TEXT_FOLDER, METADATA_FOLDER = "img_emb", "text_emb", "metadata"
_ID_COLUMNS = ("id", "key", "image_path")


class EmbeddingStore:
    """Paired embeddings with their ids and metadata, opened with :meth:`open`.

    Attributes
    ----------
    image, text : ShardedColumn
        Lazy matrices of shape (M, D); row i of one is the pair of row i of the other.
    manifest : Manifest or None
        What made the store; None for a store that modalens did not write.
    """

    def __init__(
        self, folder: Path, image: ShardedColumn, text: ShardedColumn, manifest: Manifest | None
    ) -> None:
        self.folder = folder
        self.image = image
        self.text = text
        self.manifest = manifest

    @classmethod
    def open(cls, folder: str | Path) -> "EmbeddingStore":
        """Open a store that :func:`modalens.embed` or clip-retrieval wrote.

        A shard's checksum is verified when the shard is first read.

        Raises
        ------
        ModalensError
            If the folder holds no store or an unfinished one, if a shard is damaged, or if images and
            texts do not pair up.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ModalensError(f"There is no store at {folder}; embed some pairs into it first.")
        manifest = Manifest.load(folder) if (folder / MANIFEST_NAME).exists() else None
        if manifest is not None and not manifest.complete:
            raise ModalensError(
                f"The store {folder} is unfinished ({manifest.rows} pairs so far): "
                "run the same embed command again and it goes on where it stopped."
            )
        if manifest is not None and manifest.rows == 0:
            raise ModalensError(f"The store {folder} holds no pairs: everything in its source was skipped.")
        image_shards = _shards(folder, IMAGE_FOLDER, ".npy", manifest)
        text_shards = _shards(folder, TEXT_FOLDER, ".npy", manifest)
        for name, shards in ((IMAGE_FOLDER, image_shards), (TEXT_FOLDER, text_shards)):
            if not shards:
                raise ModalensError(f"{folder} is no store of pairs: it has no {name}/{name}_0000.npy.")

        checksums = {} if manifest is None else {k: v for s in manifest.shards for k, v in s.files.items()}

        def check(path: Path) -> None:
            expected = checksums.get(path.relative_to(folder).as_posix())
            if expected is not None and sha256_of(path) != expected:
                raise ModalensError(f"The shard {path} is damaged: its checksum differs from the manifest's.")

        image, text = ShardedColumn(image_shards, check), ShardedColumn(text_shards, check)
        if image.shape != text.shape:
            raise ModalensError(
                f"The store {folder} does not pair up: its images have shape {image.shape}, its texts {text.shape}."
            )
        if manifest is not None and image.shape != (manifest.rows, manifest.d):
            raise ModalensError(
                f"The store {folder} is damaged: it holds {image.shape} values, its manifest says "
                f"{(manifest.rows, manifest.d)}."
            )
        return cls(folder, image, text, manifest)

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        return f"EmbeddingStore({str(self.folder)!r}, pairs={len(self)}, d={self.image.shape[1]})"

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
        for path in _shards(self.folder, METADATA_FOLDER, ".parquet", self.manifest):
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
        shards = _shards(self.folder, METADATA_FOLDER, ".parquet", self.manifest)
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


def _column_names(path: Path) -> list[str]:
    try:
        names: list[str] = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise ModalensError(f"The metadata shard {path} cannot be read ({error}).") from error
    return names


def shard_file(folder: str, index: int, suffix: str) -> str:
    """Name of a shard's file inside a store, e.g. ``img_emb/img_emb_0003.npy``."""
    return f"{folder}/{folder}_{index:04d}{suffix}"


def _shards(folder: Path, name: str, suffix: str, manifest: Manifest | None) -> list[Path]:
    """The files of one column in row order."""
    if manifest is not None:
        return [folder / f for s in manifest.shards for f in s.files if f.startswith(f"{name}/")]
    numbered = {}
    for path in (folder / name).glob(f"{name}_*{suffix}"):
        match = re.fullmatch(rf"{name}_(\d+)", path.stem)
        if match:
            numbered[int(match[1])] = path
    return [numbered[number] for number in sorted(numbered)]
