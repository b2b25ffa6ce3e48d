"""The metadata of a store's pairs, in Parquet shards, and labels of pairs from any of its columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from modalens.errors import StoreError
from modalens.parquet_footer import rows_at_a_time
from modalens.statistics.groups import digest_of, equal_digests
from modalens.store.texts import Texts

# What pyarrow raises for a file that is damaged or holds what it does not know.
PARQUET_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


# Values of one column held at a time.
_BATCH_ROWS = 4096
# What a shard's columns may take that are read as a whole.
_MAX_TABLE_BYTES = 2**33


class MetadataShards:
    """Metadata shards of a store, each checked before its first use; read column by column.

    Parameters
    ----------
    paths
        The .parquet files in row order; none where the store has no metadata.
    lengths
        Rows that each must have.
    check
        Called with a file's path before its first use; raises if the file is not what it should be.
    """

    def __init__(self, paths: Sequence[Path], lengths: Sequence[int], check: Callable[[Path], None]) -> None:
        self._paths, self._lengths, self._check = list(paths), list(lengths), check

    @cached_property
    def _names(self) -> list[list[str]]:
        """Names of the columns of each shard.

        Raises
        ------
        StoreError
            If a shard is damaged, has not a row for each pair or a column twice.
        """
        found = []
        for path, rows in zip(self._paths, self._lengths, strict=True):
            self._check(path)
            try:
                header = pq.read_metadata(path)
                names: list[str] = header.schema.to_arrow_schema().names
            except PARQUET_DAMAGE as error:
                raise _unreadable(path, error) from error
            if header.num_rows != rows:
                raise StoreError(f"The metadata shard {path} has {header.num_rows} rows for {rows} pairs.")
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise StoreError(f"The metadata shard {path} has the column {twice!r} twice; rename one.")
            found.append(names)
        return found

    @property
    def columns(self) -> list[str]:
        """Names of the columns that any shard has."""
        return list(dict.fromkeys(name for names in self._names for name in names))

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of all rows; a column that a shard lacks is missing there."""
        frames = []
        for path, names in zip(self._paths, self._names, strict=True):
            table = _table(path, [name for name in columns if name in names])
            try:
                frames.append(table.to_pandas())
            except PARQUET_DAMAGE as error:
                raise _unreadable(path, error) from error
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def blocks(self, rows: int) -> Iterator[list[pa.RecordBatch]]:
        """All columns of ``rows`` rows at a time, in order, without reading more than that ahead."""
        waiting: list[pa.RecordBatch] = []
        have = 0
        for path in self._paths if self._names else ():
            for batch in _batches(path, rows):
                place = 0
                while place < batch.num_rows:
                    waiting.append(batch.slice(place, rows - have))
                    place += waiting[-1].num_rows
                    have += waiting[-1].num_rows
                    if have == rows:
                        yield waiting
                        waiting, have = [], 0
        if waiting:
            yield waiting

    def numbers(self, column: str) -> Int[np.ndarray, " M"]:
        """Number of each row's label, from 0 in order of appearance; a row without one has a number of its own."""
        digests = np.empty((sum(self._lengths), 2), dtype=np.uint64)
        for row, label in enumerate(each_its_own(self.iter_labels(column))):
            digests[row] = digest_of(label.encode("utf-8", "surrogatepass"))
        return equal_digests(digests)

    def texts(self, column: str) -> Texts | None:
        """A column that holds text, see :meth:`holds_text`; None where a row has no value or two have the same."""
        digests = np.empty((sum(self._lengths), 2), dtype=np.uint64)
        missing = False

        def walk() -> Iterator[str]:
            nonlocal missing
            for row, value in enumerate(self.iter_values(column)):
                text = value or ""
                missing |= value is None
                digests[row] = digest_of(text.encode("utf-8", "surrogatepass"))
                yield text

        found = Texts.of(walk())
        unique = int(equal_digests(digests).max(initial=-1)) + 1 == len(digests)
        return found if unique and not missing else None

    def holds_text(self, column: str) -> bool:
        """Whether every shard has the column, as text."""
        return all(
            column in names and _is_text(path, column)
            for path, names in zip(self._paths, self._names, strict=True)
        )

    def iter_values(self, column: str) -> Iterator[Any]:
        """The values of one column, None where a shard lacks it, a batch in memory at a time."""
        for path, names, rows in zip(self._paths, self._names, self._lengths, strict=True):
            if column not in names:
                yield from repeat(None, rows)
                continue
            for batch in _batches(path, _BATCH_ROWS, [column]):
                try:
                    values = batch.column(0).to_pylist()
                except PARQUET_DAMAGE as error:
                    raise _unreadable(path, error) from error
                yield from values

    def values(self, column: str) -> np.ndarray:
        """The column's values as they are, an array of objects."""
        values = np.empty(sum(self._lengths), dtype=object)
        for row, value in enumerate(self.iter_values(column)):
            values[row] = value
        return values

    def rows_by_label(self, column: str) -> dict[str, Int[np.ndarray, " k"]]:
        """Row numbers of each label, by label in order; rows without a label are left out."""
        numbers: dict[str | None, int] = {None: -1}
        codes = np.empty(sum(self._lengths), dtype=np.int32)
        for row, label in enumerate(self.iter_labels(column)):
            codes[row] = numbers.setdefault(label, len(numbers) - 1)
        names = sorted(name for name in numbers if name is not None)
        return {name: np.flatnonzero(codes == numbers[name]) for name in names}

    def labels(self, column: str) -> np.ndarray:
        """The column's values as text, an array of objects; None where there is none (see :func:`label_text`)."""
        labels = np.empty(sum(self._lengths), dtype=object)
        for row, label in enumerate(self.iter_labels(column)):
            labels[row] = label
        return labels

    def iter_labels(self, column: str) -> Iterator[str | None]:
        """The same one after the other, a batch in memory at a time."""
        return map(label_text, self.iter_values(column))


def label_text(value: Any) -> str | None:
    """A label as text; None for null, NaN and empty text.

    Whole numbers read the same whether a column keeps them as integers or, as pandas does beside nulls, as floats.
    """
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def each_its_own(labels: Iterable[str | None]) -> Iterator[str]:
    """The labels, and in the place of each that is missing one that no other pair has."""
    for row, label in enumerate(labels):
        yield f"\0{row}" if label is None else label  # no name of a file holds a NUL


def find_label(asked: str, known: Mapping[str, Any]) -> str | None:
    """The label that somebody asked for, who may have written 1.0 for 1 or true for True; None if there is none."""
    forms = [asked, asked.capitalize()]
    with suppress(ValueError, OverflowError):
        forms.append(label_text(float(asked)) or asked)
    return next((form for form in forms if form in known), None)


def _table(path: Path, columns: Sequence[str]) -> pa.Table:
    batches, size = [], 0
    for batch in _batches(path, _BATCH_ROWS, columns):
        batches.append(batch)
        size += batch.nbytes
        if size > _MAX_TABLE_BYTES:
            raise StoreError(f"The metadata shard {path} unpacks to more than {_MAX_TABLE_BYTES:,} bytes.")
    if batches:
        return pa.Table.from_batches(batches)
    try:
        return pq.read_schema(path).empty_table().select(list(columns))
    except PARQUET_DAMAGE as error:
        raise _unreadable(path, error) from error


def _is_text(path: Path, column: str) -> bool:
    try:
        kind = pq.read_schema(path).field(column).type
    except PARQUET_DAMAGE as error:
        raise _unreadable(path, error) from error
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _batches(path: Path, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    try:
        # As a file of its own: a dataset would look for partitions in the names of folders.
        with pq.ParquetFile(path) as file:
            rows = rows_at_a_time(path, columns, most=rows)
            yield from file.iter_batches(batch_size=rows, columns=columns)
    except PARQUET_DAMAGE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StoreError:
    said = " ".join(str(error).split())[:200]
    return StoreError(f"The metadata shard {path} cannot be read ({said}); bring it back or embed again.")
