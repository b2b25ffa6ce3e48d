"""Several stores joined by the ids of their pairs: three modalities and more of the same samples."""

import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int
from scipy.sparse.csgraph import connected_components

from modalens.arrays import Matrix
from modalens.errors import InputError, StoreError
from modalens.store.base import PairStore
from modalens.store.documents import read_document, write_document
from modalens.store.embeddings import EmbeddingStore
from modalens.store.texts import Texts

logger = logging.getLogger(__name__)

_KIND = "modalens.JoinedStore"
_SCHEMA_VERSION = 1


class Member(NamedTuple):
    """Where a modality comes from: a store, and what the store calls that side of its pairs."""

    store: PairStore
    side: str


class JoinedStore:
    """Embeddings of the same samples in two or more modalities, from stores of pairs whose ids agree.

    A sample is in it if every store has its id; samples are in the order of the first store. Make one with
    :meth:`join` and keep it with :meth:`save`; the file names the stores, and copies nothing.

    Attributes
    ----------
    modalities
        Names of the m modalities.
    matrices
        One lazy matrix for each, (n, d); row i of all is the same sample. ``joined["sound"]`` gives one by name.
    ids
        Id of each sample, n texts.
    missing
        For each modality, how many ids of its store are left out, since another store lacks them.
    """

    modalities: tuple[str, ...]
    matrices: tuple[Matrix, ...]
    ids: Texts
    missing: dict[str, int]

    def __init__(self, members: Mapping[str, Member], id_column: str | None = None) -> None:
        if len(members) < 2:
            raise InputError("Join two modalities or more.")
        self.modalities, self._members, self._id_column = tuple(members), dict(members), id_column
        taken: dict[tuple[Path, str], str] = {}
        for name, (store, side) in members.items():
            other = taken.setdefault((store.folder.resolve(), side), name)
            if other != name:
                raise InputError(
                    f"{other} and {name} are both the {side} side of {store.folder}; name each side once."
                )
        by_store = {id(store): _ids_of(store, id_column) for store, _ in members.values()}
        common = by_store[id(self._members[self.modalities[0]].store)]
        for ids in by_store.values():
            common = common[common.isin(ids)]
        if not len(common):
            named = ", ".join(dict.fromkeys(str(store.folder) for store, _ in members.values()))
            raise InputError(
                f"The stores {named} have no id in common; name a metadata column of ids that do."
            )
        self.ids = Texts.of(common)
        self._rows = {store: ids.get_indexer(common) for store, ids in by_store.items()}
        self.missing = {
            name: len(by_store[id(store)]) - len(common) for name, (store, _) in self._members.items()
        }
        self.matrices = tuple(self._matrix(name) for name in self.modalities)
        widths = {name: int(matrix.shape[1]) for name, matrix in zip(members, self.matrices, strict=True)}
        if len(set(widths.values())) > 1:
            raise InputError(f"The modalities differ in width, {widths}; all must live in one space.")
        for name, missing in self.missing.items():
            if missing:
                logger.warning("%d of the ids of %s are in no other store and left out", missing, name)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, modality: str) -> Matrix:
        if modality not in self.modalities:
            raise InputError(f"There is no modality {modality!r}; there are {', '.join(self.modalities)}.")
        return self.matrices[self.modalities.index(modality)]

    def __repr__(self) -> str:
        left_out = ", ".join(f"{name}: {count}" for name, count in self.missing.items())
        return (
            f"JoinedStore({' x '.join(self.modalities)}, samples={len(self)}, d={self.matrices[0].shape[1]}, "
            f"ids left out: {left_out})"
        )

    @classmethod
    def join(
        cls,
        stores: Mapping[str, PairStore | tuple[PairStore, str]],
        *,
        id_column: str | None = None,
    ) -> "JoinedStore":
        """Join stores by id.

        Parameters
        ----------
        stores
            For each modality the store that holds it, or (store, what the store calls it) where that is another name.
            Stores of pairs have two sides, and so one store may give two modalities.
        id_column
            Metadata column of the ids, by default each store's own ids.

        Raises
        ------
        ModalensError
            If there are fewer than two modalities, a store has no such side or no unique ids, no id is common to all,
            or widths differ.
        """
        members = {
            name: Member(*of) if isinstance(of, tuple) else Member(of, name) for name, of in stores.items()
        }
        return cls(members, id_column)

    @classmethod
    def open(cls, path: str | Path) -> "JoinedStore":
        """Open what :meth:`save` wrote: a JSON file that names a store and its side for each modality.

        Stores are looked for from the file's folder.

        Raises
        ------
        ModalensError
            If the file is missing or damaged, or the stores cannot be opened or joined.
        """
        path = Path(path)
        document = read_document(path, _KIND, _SCHEMA_VERSION)
        try:
            id_column = document["id_column"]
            where = {name: (Path(of["store"]), of["side"]) for name, of in document["modalities"].items()}
            if not (id_column is None or isinstance(id_column, str)) or not all(
                isinstance(side, str) for _, side in where.values()
            ):
                raise TypeError("a name is no text")
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{path} is damaged ({error!r}); it must name a store and a side for each modality."
            ) from error
        opened = {store: EmbeddingStore.open(path.parent / store) for store, _ in where.values()}
        return cls({name: Member(opened[store], side) for name, (store, side) in where.items()}, id_column)

    def save(self, path: str | Path) -> None:
        """Write the JSON file that :meth:`open` opens; stores are named from its folder where they lie beneath it."""
        path = Path(path)
        modalities = {
            name: {"store": _named_from(path.parent, store.folder), "side": side}
            for name, (store, side) in self._members.items()
        }
        write_document(path, _KIND, _SCHEMA_VERSION, {"modalities": modalities, "id_column": self._id_column})

    @cached_property
    def groups(self) -> Int[np.ndarray, " n"] | None:
        """Group of each sample: those that share a group in any of the stores are one; None where no store has any."""
        stores = {id(store): store for store, _ in self._members.values()}
        known = [store.groups[self._rows[key]] for key, store in stores.items() if store.groups is not None]
        if not known:
            return None
        n = len(self)
        # Samples are joined to the groups that hold them, one node for each.
        starts = n + np.concatenate([[0], np.cumsum([int(each.max()) + 1 for each in known])])
        ends = np.concatenate([each + start for each, start in zip(known, starts, strict=False)])
        samples = np.tile(np.arange(n), len(known))
        links = sp.coo_array(
            (np.ones(len(ends), dtype=bool), (samples, ends)), shape=(starts[-1], starts[-1])
        )
        _, found = connected_components(links, directed=False)
        numbers, _ = pd.factorize(found[:n])
        return np.asarray(numbers, dtype=np.int64)

    def identity(self) -> dict[str, Any]:
        """What a result made from this records of it: each modality's store and side."""
        return {name: {**store.identity(), "side": side} for name, (store, side) in self._members.items()}

    def _matrix(self, name: str) -> Matrix:
        store, side = self._members[name]
        if side not in store.modalities:
            raise InputError(
                f"The store {store.folder} has no side {side!r} for the modality {name!r}; it has "
                f"{' and '.join(store.modalities)}."
            )
        column = store.image if side == store.modalities[0] else store.text
        return column.pick(self._rows[id(store)])


def _ids_of(store: PairStore, column: str | None) -> pd.Index:
    if column is None:
        if store.own_ids is None:
            raise InputError(
                f"The metadata of {store.folder} has no unique id, key or image_path to join by; name a column of ids."
            )
        own: pd.Index = pd.Index(store.own_ids.tolist(), dtype=object)
        return own
    found: pd.Index = pd.Index(store.labels(column), dtype=object)
    if not found.is_unique or found.hasnans:
        raise InputError(
            f"The column {column!r} of {store.folder} is not one id for each pair; name another."
        )
    return found


def _named_from(folder: Path, store: Path) -> str:
    folder, store = folder.resolve(), store.resolve()
    return store.relative_to(folder).as_posix() if store.is_relative_to(folder) else str(store)
