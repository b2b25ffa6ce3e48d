"""Many short texts in two arrays: Python strings take four times as much memory."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

_BATCH = 4096


class Texts:
    """Texts, (n,), decoded when they are asked for: one by a whole number, else an array of objects.

    Parameters
    ----------
    data
        All texts in UTF-8, one after the other.
    ends
        Where each ends in ``data``, (n,).

    Raises
    ------
    ValueError
        If the ends do not fit the data.
    """

    def __init__(self, data: UInt8[np.ndarray, " b"], ends: Int[np.ndarray, " n"]) -> None:
        if (np.diff(ends, prepend=0) < 0).any() or int(ends[-1] if len(ends) else 0) != len(data):
            raise ValueError("the ends of the texts do not fit their bytes")
        self.data, self.ends = data, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """These texts, taken a few at a time."""
        data, lengths = [np.empty(0, dtype=np.uint8)], [np.empty(0, dtype=np.int64)]
        waiting = iter(texts)
        while encoded := [text.encode("utf-8", "surrogatepass") for text in islice(waiting, _BATCH)]:
            data.append(np.frombuffer(b"".join(encoded), dtype=np.uint8))
            lengths.append(np.array([len(text) for text in encoded], dtype=np.int64))
        return cls(np.concatenate(data), np.cumsum(np.concatenate(lengths)))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(
            self[start : start + _BATCH].tolist() for start in range(0, len(self), _BATCH)
        )

    def __getitem__(self, rows: Any) -> Any:
        """One text by its number, or several by slice, boolean mask or integer array, as an array of objects."""
        if isinstance(rows, int | np.integer):
            return self._text(range(len(self))[int(rows)])
        if isinstance(rows, slice):
            chosen = list(range(len(self))[rows])
        else:
            rows = np.asarray(rows)
            rows = np.flatnonzero(rows) if rows.dtype == bool else rows
            chosen = [range(len(self))[row] for row in rows.tolist()]
        texts = np.empty(len(chosen), dtype=object)
        texts[:] = [self._text(row) for row in chosen]
        return texts

    def tolist(self) -> list[str]:
        """All texts."""
        return list(self)

    def pick(self, rows: Int[np.ndarray, " k"]) -> "Texts":
        """Some of the texts, by integer index."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self
        blocks = (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
        return Texts.of(chain.from_iterable(map(self.__getitem__, blocks)))

    def _text(self, row: int) -> str:
        start = int(self.ends[row - 1]) if row else 0
        return self.data[start : int(self.ends[row])].tobytes().decode("utf-8", "surrogatepass")
