"""One matrix over many .npy shards, read only where it is touched."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modalens.errors import StoreError
from modalens.store.npy import open_npy

# Each memory map holds a file descriptor, and a large store has more shards than a process may open.
_OPEN_SHARDS = 16


class ShardedColumn:
    """A matrix of shape (n, d) whose rows lie in memory-mapped .npy shards.

    Slicing reads only the shards it touches and gives a NumPy array; ``np.asarray`` reads everything.

    Parameters
    ----------
    shards
        The .npy files in row order. Their values are handed out in the widest type of all.
    check
        Called with a shard's path before its first use; raises if the file is not what it should be.

    Raises
    ------
    StoreError
        If a shard cannot be read, has another width or is no float matrix.
    """

    ndim = 2

    def __init__(self, shards: Sequence[Path], check: Callable[[Path], None] | None = None) -> None:
        self._paths = list(shards)
        self._check = check
        self.groups_of: Callable[[], np.ndarray | None] | None = None
        self._checked: set[int] = set()
        self._open: dict[int, np.ndarray] = {}
        if not self._paths:
            raise StoreError("A column needs at least one shard.")
        self.lengths: list[int] = []
        widths, types = set(), set()
        for path in self._paths:
            header = _memory_map(path)
            self.lengths.append(int(header.shape[0]))
            widths.add(header.shape[1])
            types.add(header.dtype)
        if len(widths) > 1:
            raise StoreError(
                f"The shards beside {self._paths[0]} differ in width: {sorted(widths)} features; "
                "give the shards of one model."
            )
        # The widest type holds the values of every shard exactly.
        self.dtype = np.result_type(*types).newbyteorder("=")
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        self.shape = (int(self._starts[-1]), int(widths.pop()))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"ShardedColumn(shape={self.shape}, dtype={self.dtype}, shards={len(self._paths)})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy  # reading from disk is always a copy
        rows = self[:]
        return rows if dtype is None else rows.astype(dtype)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows by integer, slice, boolean mask or integer array; a tuple also picks columns."""
        if isinstance(rows, tuple):
            rows, columns = rows
            picked: np.ndarray = self[rows][..., columns]
            return picked
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._range(start, max(start, stop))
            return self._gather(np.arange(start, stop, step))
        if isinstance(rows, int | np.integer):
            row: np.ndarray = self._gather(np.array([rows]))[0]
            return row
        wanted = np.asarray(rows)
        if wanted.dtype == bool:
            if wanted.shape != (len(self),):
                raise IndexError(f"a mask of shape {wanted.shape} does not fit {len(self)} rows")
            wanted = np.flatnonzero(wanted)
        return self._gather(wanted)

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each row, (n,), as the store knows it that this is a column of; None where it knows none."""
        return None if self.groups_of is None else self.groups_of()

    def pick(self, rows: np.ndarray) -> "PickedRows":
        """A lazy view of some rows, by integer index of shape (k,)."""
        return PickedRows(self, rows)

    def _range(self, start: int, stop: int) -> np.ndarray:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        pieces = []
        for shard in range(first, len(self._paths)):
            offset = self._starts[shard]
            if offset >= stop:
                break
            pieces.append(self._shard(shard)[max(start - offset, 0) : stop - offset])
        if not pieces:
            return np.empty((0, self.shape[1]), dtype=self.dtype)
        if len(pieces) == 1:
            return np.array(pieces[0], dtype=self.dtype)
        return np.concatenate(pieces, dtype=self.dtype)

    def _gather(self, wanted: np.ndarray) -> np.ndarray:
        wanted = wanted.astype(np.int64)
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"row out of range: there are {len(self)} rows")
        out = np.empty((len(wanted), self.shape[1]), dtype=self.dtype)
        shards = np.searchsorted(self._starts, wanted, side="right") - 1
        for shard in np.unique(shards):
            here = shards == shard
            out[here] = self._shard(int(shard))[wanted[here] - self._starts[shard]]
        return out

    def _shard(self, index: int) -> np.ndarray:
        if index not in self._open:
            if self._check is not None and index not in self._checked:
                self._check(self._paths[index])
                self._checked.add(index)
            while len(self._open) >= _OPEN_SHARDS:
                del self._open[next(iter(self._open))]
            self._open[index] = _memory_map(self._paths[index])
        return self._open[index]


class PickedRows:
    """Some rows of a column, or of a memory-mapped matrix, read when sliced; a matrix of shape (k, d)."""

    ndim = 2

    def __init__(self, column: Any, rows: np.ndarray) -> None:
        self._column, self._rows = column, rows
        self.dtype = column.dtype
        self.shape = (len(rows), column.shape[1])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        picked: np.ndarray = self._column[self._rows[rows]]
        return picked

    def pick(self, rows: np.ndarray) -> "PickedRows":
        """A lazy view of some of these rows."""
        return PickedRows(self._column, self._rows[rows])

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each row, (k,); None where the store knows none."""
        groups = getattr(self._column, "groups", None)
        return None if groups is None else groups[self._rows]


def _memory_map(path: Path) -> np.ndarray:
    return open_npy(path, 2, "f", "make the store again")
