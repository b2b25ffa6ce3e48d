"""Write an embedding store shard by shard, so that a kill costs the shard in work and no more."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modalens.errors import ModalensError
from modalens.hashing import sha256_of
from modalens.store.atomic import PARTIAL_SUFFIX, whole_file
from modalens.store.kept import RECORD_NAME, difference, stable
from modalens.store.lock import LOCK_NAME, alone_in
from modalens.store.manifest import MANIFEST_NAME, Manifest, ShardRecord
from modalens.store.shards import METADATA_FOLDER, shard_file

logger = logging.getLogger(__name__)

# What a kill leaves that comes before the manifest is whole.
_BEFORE_MANIFEST = {LOCK_NAME, RECORD_NAME, MANIFEST_NAME + PARTIAL_SUFFIX, RECORD_NAME + PARTIAL_SUFFIX}


@dataclass(frozen=True)
class ShardContent:
    """What goes into one shard: arrays by the name of their folder, and the metadata of n pairs."""

    arrays: Mapping[str, np.ndarray]
    metadata: Sequence[Mapping[str, Any]]
    skipped: Sequence[Mapping[str, str]]


class StoreWriter:
    """Writes one store, used as a context manager; holds the folder's lock while it is open.

    Parameters
    ----------
    folder
        Where the store goes: new, empty, or holding an earlier run of the very same configuration.
    plan
        A manifest without shards: model, source, config and width of the run.
    effective
        From a configuration to what of it can change the bytes of the store; all of it by default.

    Raises
    ------
    ModalensError
        If the folder holds something else, or another process is writing to it.
    """

    def __init__(
        self,
        folder: str | Path,
        plan: Manifest,
        effective: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        self.folder = Path(folder)
        self._effective = effective
        self.manifest = plan
        self._held = ExitStack()

    def __enter__(self) -> "StoreWriter":
        # In this order: another process may be making the manifest and then the rest.
        there = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        if there - _BEFORE_MANIFEST and not (self.folder / MANIFEST_NAME).exists():
            raise ModalensError(f"{self.folder} is not empty and holds no store; name another folder.")
        with ExitStack() as entering:
            entering.enter_context(alone_in(self.folder))
            if (self.folder / MANIFEST_NAME).exists():
                self._resume(Manifest.load(self.folder, self.manifest.kind))
            else:
                self.manifest.save(self.folder)
            self._held = entering.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def _resume(self, earlier: Manifest) -> None:
        for part in ("model", "source", "config", "d"):
            before, now = (getattr(of, part) for of in (earlier, self.manifest))
            if part == "config":
                with suppress(KeyError, TypeError):  # a configuration of another version
                    before, now = self._effective(before), self._effective(now)
            before, now = (_without_slashes(stable(each)) for each in (before, now))
            if before != now:
                raise ModalensError(
                    f"{self.folder} holds another run ({part}: {difference(before, now)}); "
                    "name another folder or remove this one."
                )
        self.manifest = earlier

    @property
    def complete(self) -> bool:
        """Whether an earlier run has finished this store, with every file whole."""
        return self.manifest.complete and all(self.has_shard(i) for i in range(len(self.manifest.shards)))

    def has_shard(self, index: int) -> bool:
        """Whether shard ``index`` is finished and its files are what the manifest says."""
        if index >= len(self.manifest.shards):
            return False
        for name, checksum in self.manifest.shards[index].files.items():
            path = self.folder / name
            if not path.exists() or sha256_of(path) != checksum:
                logger.warning("%s is missing or damaged and is made again", path)
                return False
        return True

    def check_items(self, index: int, ids: Iterable[str]) -> None:
        """Make sure that a finished shard was made from these items of the source.

        Raises
        ------
        ModalensError
            If the source has changed since.
        """
        if self.manifest.shards[index].items_sha256 != _hash_ids(ids):
            raise ModalensError(
                f"The source has changed since shard {index} of {self.folder} was made; name another folder."
            )

    def write_shard(self, index: int, ids: Sequence[str], content: ShardContent) -> None:
        """Write shard ``index``, made from the source's items ``ids``; a kill leaves it undone."""
        files: dict[str, str] = {}
        if len(content.metadata):
            names = []
            for folder, array in content.arrays.items():
                names.append(shard_file(folder, index, ".npy"))
                with whole_file(self.folder / names[-1]) as partial, partial.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
            names.append(shard_file(METADATA_FOLDER, index, ".parquet"))
            with whole_file(self.folder / names[-1]) as partial:
                pq.write_table(_metadata_table(content.metadata), partial)
            files = {name: sha256_of(self.folder / name) for name in names}
        record = ShardRecord(
            items=len(ids),
            items_sha256=_hash_ids(ids),
            rows=len(content.metadata),
            skipped=[dict(item) for item in content.skipped],
            files=files,
        )
        shards = [*self.manifest.shards[:index], record, *self.manifest.shards[index + 1 :]]
        self.manifest = replace(self.manifest, shards=shards)
        self.manifest.save(self.folder)

    def finish(self, shards: int) -> None:
        """Mark the store as complete with this many shards.

        Raises
        ------
        ModalensError
            If an earlier run made more of them.
        """
        if len(self.manifest.shards) != shards:
            raise ModalensError(
                f"The source has changed: it now gives {shards} shards, {self.folder} holds "
                f"{len(self.manifest.shards)}; name another folder."
            )
        if not self.manifest.complete:
            self.manifest = replace(self.manifest, complete=True)
            self.manifest.save(self.folder)


def _without_slashes(value: Any) -> Any:
    """Values in which a folder is called the same with and without a slash behind it."""
    if isinstance(value, dict):
        return {name: _without_slashes(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_slashes(each) for each in value]
    return (value.rstrip("/") or value) if isinstance(value, str) else value


def _hash_ids(ids: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for item in ids:
        digest.update(item.encode("utf-8") + b"\0")
    return digest.hexdigest()


def _metadata_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    columns = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # mixed types in one column: keep them as text
            columns[name] = pa.array([None if value is None else str(value) for value in values])
    return pa.table(columns)
