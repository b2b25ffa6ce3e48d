"""The manifest of an embedding store: what made it, what it holds, what was skipped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from modalens.errors import ModalensError, StoreError
from modalens.files import read_json
from modalens.store.atomic import write_json

MANIFEST_NAME = "manifest.json"
EMBEDDINGS_KIND = "modalens embedding store"
CODES_KIND = "modalens code store"
SCHEMA_VERSION = 1
_AGAIN = "bring it back, or make the store again"
# A manifest lists every item that was skipped.
_MOST_BYTES = 2**30


@dataclass(frozen=True)
class ShardRecord:
    """One finished shard.

    ``items`` counts what the source gave for it, ``rows`` what became rows; the difference stands in
    ``skipped`` as {id, reason}. ``items_sha256`` is over the ids of the items, so that a source that has
    changed since is noticed. ``files`` maps each file to its sha256.
    """

    items: int
    items_sha256: str
    rows: int
    skipped: list[dict[str, str]]
    files: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """Everything a store says of itself (see the fields of the file ``manifest.json``)."""

    modalens: str
    model: Mapping[str, Any]
    source: Mapping[str, Any]
    config: Mapping[str, Any]
    d: int
    kind: str = EMBEDDINGS_KIND
    complete: bool = False
    shards: list[ShardRecord] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of pairs in the finished shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def skipped(self) -> list[dict[str, str]]:
        """Everything that was left out, as {id, reason}."""
        return [item for shard in self.shards for item in shard.skipped]

    def _is_sound(self) -> bool:
        """Whether every field is of its kind, and every file below the store's folder."""
        counts = [self.d, *(count for shard in self.shards for count in (shard.items, shard.rows))]
        files = [file for shard in self.shards for file in shard.files.items()]
        skipped = [text for item in self.skipped for text in (item["id"], item["reason"])]
        return (
            all(isinstance(part, dict) for part in (self.model, self.source, self.config))
            and all(type(count) is int and count >= 0 for count in counts)
            and all(isinstance(text, str) for text in (*skipped, *(part for file in files for part in file)))
            and all(len(PurePosixPath(name).parts) == 2 and ".." not in name.split("/") for name, _ in files)
            and all(isinstance(shard.items_sha256, str) for shard in self.shards)
        )

    def save(self, folder: Path) -> None:
        """Write the manifest, whole or not at all."""
        summary = {"rows": self.rows, "skipped": len(self.skipped)}
        write_json(
            folder / MANIFEST_NAME,
            {"schema": SCHEMA_VERSION, **asdict(self), "totals": summary},
        )

    @classmethod
    def load(cls, folder: Path, kind: str = EMBEDDINGS_KIND) -> "Manifest":
        """Read the manifest of a store of one kind.

        Raises
        ------
        ModalensError
            If it is damaged, of another kind or of a later schema.
        """
        path = folder / MANIFEST_NAME
        values = read_json(
            path, f"The manifest {path}", dict, advice=_AGAIN, limit=_MOST_BYTES, error=StoreError
        )
        if values.get("kind") != kind:
            raise ModalensError(
                f"{path} is not the manifest of {'an' if kind[9] in 'aeiou' else 'a'} {kind[9:]}."
            )
        if values.get("schema") != SCHEMA_VERSION:
            raise ModalensError(
                f"{path} has schema {values.get('schema')}, this modalens reads schema {SCHEMA_VERSION}: "
                "use the version that wrote it or embed again."
            )
        try:
            found = cls(
                **{
                    name: values[name]
                    for name in ("modalens", "model", "source", "config", "d", "kind", "complete")
                },
                shards=[ShardRecord(**shard) for shard in values["shards"]],
            )
            if not found._is_sound():
                raise TypeError("a field of another kind")
            return found
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise StoreError(f"The manifest {path} is damaged ({error!r}); {_AGAIN}.") from error
