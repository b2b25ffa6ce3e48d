"""Sparse codes of pairs on disk: as much memory and disk as there are active features, however many exist."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from modalens.errors import ModalensError, StoreError
from modalens.store.base import PairStore, finished_manifest
from modalens.store.manifest import CODES_KIND, Manifest
from modalens.store.npy import open_npy

SIDES = ("image", "text")
_PARTS = ("values", "features", "offsets")
# Each open shard holds three memory maps.
_OPEN_SHARDS = 8


def csr_arrays(side: str, codes: sp.csr_array) -> dict[str, np.ndarray]:
    """What a CSR matrix is kept as in one shard: arrays by the name of their folder."""
    parts = (codes.data.astype(np.float32), codes.indices.astype(np.int32), codes.indptr.astype(np.int64))
    return {f"{side}_{part}": array for part, array in zip(_PARTS, parts, strict=True)}


class ShardedCSR:
    """A sparse matrix of shape (n, f) whose rows lie in memory-mapped CSR shards; slicing gives CSR.

    Parameters
    ----------
    shards
        Files of each shard: values, features and offsets.
    n_features
        Width f.
    check
        Called with a file's path before its first use; raises if the file is not what it should be.

    Raises
    ------
    ModalensError
        If a shard cannot be read or its parts do not fit together.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(
        self, shards: Sequence[tuple[Path, Path, Path]], n_features: int, check: Callable[[Path], None]
    ) -> None:
        self._shards = list(shards)
        self._check = check
        self.groups_of: Callable[[], np.ndarray | None] | None = None
        self._checked: set[int] = set()
        self._open: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        rows = []
        for values, features, offsets in self._shards:
            sizes = [len(_part(path)) for path in (values, features)]
            ends = _part(offsets)
            if len(set(sizes)) > 1 or len(ends) < 1 or int(ends[-1]) != sizes[0]:
                raise ModalensError(
                    f"The shard {values} and its neighbours do not fit together; encode again."
                )
            rows.append(len(ends) - 1)
        self._starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        self.shape = (int(self._starts[-1]), n_features)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"ShardedCSR(shape={self.shape}, shards={len(self._shards)})"

    def __getitem__(self, rows: Any) -> sp.csr_array:
        """Rows by slice, boolean mask or integer array."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._range(start, max(start, stop))
            rows = np.arange(start, stop, step)
        wanted = np.asarray(rows)
        if wanted.dtype == bool:
            if wanted.shape != (len(self),):
                raise IndexError(f"a mask of shape {wanted.shape} does not fit {len(self)} rows")
            wanted = np.flatnonzero(wanted)
        wanted = np.where(wanted < 0, wanted + len(self), wanted).astype(np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"row out of range: there are {len(self)} rows")
        shards = np.searchsorted(self._starts, wanted, side="right") - 1
        order = np.argsort(shards, kind="stable")
        pieces = [
            self._shard(int(shard))[wanted[shards == shard] - self._starts[shard]]
            for shard in np.unique(shards)
        ]
        if not pieces:
            return sp.csr_array((0, self.shape[1]), dtype=self.dtype)
        return sp.csr_array(sp.vstack(pieces, format="csr"))[np.argsort(order)]

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each row, (n,), as the store knows it that this is a side of; None where it knows none."""
        return None if self.groups_of is None else self.groups_of()

    def pick(self, rows: np.ndarray) -> "PickedCodes":
        """A lazy view of some rows, by integer index of shape (k,)."""
        return PickedCodes(self, rows)

    def _range(self, start: int, stop: int) -> sp.csr_array:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        pieces = []
        for shard in range(first, len(self._shards)):
            offset = int(self._starts[shard])
            if offset >= stop:
                break
            pieces.append(self._shard(shard)[max(start - offset, 0) : stop - offset])
        if not pieces:
            return sp.csr_array((0, self.shape[1]), dtype=self.dtype)
        return pieces[0] if len(pieces) == 1 else sp.csr_array(sp.vstack(pieces, format="csr"))

    def _shard(self, index: int) -> sp.csr_array:
        if index not in self._open:
            if index not in self._checked:
                for path in self._shards[index]:
                    self._check(path)
                values, features, offsets = (_part(path) for path in self._shards[index])
                _check_columns(self._shards[index][0], features, offsets, self.shape[1])
                self._checked.add(index)
            while len(self._open) >= _OPEN_SHARDS:
                del self._open[next(iter(self._open))]
            values, features, offsets = (_part(path) for path in self._shards[index])
            self._open[index] = (values, features, offsets)
        shape = (int(self._starts[index + 1] - self._starts[index]), self.shape[1])
        return sp.csr_array(self._open[index], shape=shape)


class PickedCodes:
    """Some rows of sparse codes, read when sliced; a matrix of shape (k, f)."""

    ndim = 2

    def __init__(self, codes: ShardedCSR, rows: np.ndarray) -> None:
        self._codes, self._rows = codes, rows
        self.dtype = codes.dtype
        self.shape = (len(rows), codes.shape[1])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> sp.csr_array:
        return self._codes[self._rows[rows]]

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each row, (k,); None where the store knows none."""
        groups = self._codes.groups
        return None if groups is None else groups[self._rows]

    def pick(self, rows: np.ndarray) -> "PickedCodes":
        """A lazy view of some of these rows."""
        return PickedCodes(self._codes, self._rows[rows])


class CodeStore(PairStore):
    """Sparse codes of pairs with their ids and metadata, opened with :meth:`open`.

    Attributes
    ----------
    image, text : ShardedCSR
        Lazy sparse matrices of shape (M, f); row i of one is the pair of row i of the other.
    manifest : Manifest
        What made the store.
    """

    image: ShardedCSR
    text: ShardedCSR

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        sides: Mapping[str, list[list[Path]]] = {
            side: [self._files(f"{side}_{part}") for part in _PARTS] for side in SIDES
        }
        self.image, self.text = (
            ShardedCSR(list(zip(*sides[side], strict=True)), manifest.d, self._check) for side in SIDES
        )
        if self.image.shape != self.text.shape or len(self) != manifest.rows:
            raise ModalensError(
                f"The store {folder} is damaged: its images have shape {self.image.shape}, its texts "
                f"{self.text.shape}, and its manifest says {manifest.rows} pairs."
            )
        self.image.groups_of = self.text.groups_of = partial(getattr, self, "groups")

    @classmethod
    def open(cls, folder: str | Path) -> "CodeStore":
        """Open a store of codes; a shard's checksums are verified when it is first read.

        Raises
        ------
        ModalensError
            If the folder holds no store of codes or an unfinished one, or a shard is damaged.
        """
        folder = Path(folder)
        manifest = finished_manifest(folder, CODES_KIND)
        if manifest is None:
            raise ModalensError(f"{folder} is no store of codes: it has no manifest.json.")
        return cls(folder, manifest)


def _part(path: Path) -> np.ndarray:
    kinds = "f" if path.parent.name.endswith(_PARTS[0]) else "iu"
    return open_npy(path, 1, kinds, "encode again")


def _check_columns(shard: Path, features: np.ndarray, offsets: np.ndarray, n_features: int) -> None:
    """Raise if the parts of a CSR matrix do not fit together, before compiled code trusts them."""
    rising = offsets[0] == 0 and bool((np.diff(offsets) >= 0).all())
    inside = len(features) == 0 or (features.min() >= 0 and features.max() < n_features)
    if not (rising and inside):
        raise StoreError(
            f"The shard {shard} and its neighbours are damaged: they name features outside 0 to {n_features - 1} "
            "or rows out of order; encode again."
        )
