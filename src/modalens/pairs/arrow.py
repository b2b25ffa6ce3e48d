"""Rows of Parquet and Arrow files on this machine, each column read by itself and only where it is used."""

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modalens.errors import InputError
from modalens.pairs.arrow_budget import check_batches
from modalens.pairs.text import spoken_name
from modalens.parquet_footer import rows_at_a_time

logger = logging.getLogger(__name__)

# Rows at a time: images are large, other values small.
_LARGE_ROWS, _SMALL_ROWS = 16, 1024
_LISTS = tuple(
    getattr(pa.types, f"is_{name}")
    for name in ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
)
_BYTES = tuple(
    getattr(pa.types, f"is_{name}") for name in ("binary", "large_binary", "binary_view", "fixed_size_binary")
)
_PARQUET_MAGIC, _ARROW_MAGIC = b"PAR1", b"ARROW1"


class ArrowFiles:
    """Files that hold one table, one after the other.

    Parameters
    ----------
    files
        Parquet or Arrow files, in order; the first says what columns there are.
    name
        What sentences call the table.

    Raises
    ------
    InputError
        If the first file cannot be read.
    """

    def __init__(self, files: Sequence[Path], name: str) -> None:
        self.files = list(files)
        self._name = name

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Kind of each column: ``image``, ``text``, ``number``, ``nested`` or ``other``."""
        try:
            schema = _Columns(self.files[0]).schema
            # A name that stands there twice says nothing of which one is meant.
            return {
                field.name: _kind(field.type) if schema.names.count(field.name) == 1 else "other"
                for field in schema
            }
        except Exception as error:  # damaged files break the readers in many ways
            raise InputError(
                f"The file '{spoken_name(str(self.files[0]))}' cannot be read ({_reason(error)})."
            ) from error

    def rows(self, needed: Sequence[str], labels: Sequence[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Every row, with the file it is in.

        A cell that cannot be read is the exception that says why. Of a label that a file lacks, or whose column is
        damaged, the cells are None.

        Raises
        ------
        InputError
            If a file or a needed column cannot be read; the sentence names the file and the row.
        """
        for path in self.files:
            done = 0
            try:
                columns = _Columns(path)
                if missing := [name for name in needed if name not in columns.schema.names]:
                    raise KeyError(f"it has no column {missing[0]}")
                cells = [columns.cells(name, _LARGE_ROWS) for name in needed]
                extra = [_forgiving(columns, name) for name in labels]
                for values in zip(*cells, strict=True):
                    more = [next(each) for each in extra]
                    yield path, dict(zip((*needed, *labels), (*values, *more), strict=True))
                    done += 1
            except GeneratorExit:
                raise
            except Exception as error:  # damaged files break the readers in many ways
                raise InputError(
                    f"The file '{spoken_name(str(path))}' of {self._name} cannot be read after {done} rows "
                    f"({_reason(error)})."
                ) from error


class _Columns:
    """One file, column by column."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as stream:
            self._parquet = stream.read(4) == _PARQUET_MAGIC
        self.schema: pa.Schema
        if self._parquet:
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20)
            self.schema = self._file.schema_arrow
        else:
            check_batches(path)
            self.schema = _open_arrow(path, None)[0]

    def cells(self, name: str, rows: int) -> Iterator[Any]:
        if self._parquet:
            rows = rows_at_a_time(self._path, [name], most=rows)
            batches = self._file.iter_batches(rows, columns=[name], use_threads=False)
        else:
            batches = _open_arrow(self._path, self.schema.get_field_index(name))[1]
        for batch in batches:
            column = batch.column(name)
            if not self._parquet:
                column.validate(full=True)  # what lies in memory as it is in the file may point anywhere
            for cell in column:
                try:
                    yield cell.as_py()
                except (ValueError, OverflowError, TypeError, pa.ArrowException) as error:
                    yield error


def _open_arrow(path: Path, column: int | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and batches of an Arrow file or stream, with one column or all."""
    options = pa.ipc.IpcReadOptions(included_fields=[] if column is None else [column])
    source = pa.memory_map(str(path))
    if source.read(6) == _ARROW_MAGIC:
        file = pa.ipc.open_file(source, options=options)
        return file.schema, (file.get_batch(number) for number in range(file.num_record_batches))
    source.seek(0)
    stream = pa.ipc.open_stream(source, options=options)
    return stream.schema, iter(stream)


def _forgiving(columns: _Columns, name: str) -> Iterator[Any]:
    """Cells of a label; None from where its column is damaged on."""
    if name in columns.schema.names:
        try:
            yield from columns.cells(name, _SMALL_ROWS)
        except Exception as error:  # damaged files break the readers in many ways
            logger.warning("The column %s is left out from here on (%s)", spoken_name(name), _reason(error))
    while True:
        yield None


def _kind(kind: pa.DataType) -> str:
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _kind(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _kind(kind.value_type)
    if types.is_struct(kind):
        return "image" if "bytes" in {field.name for field in kind} else "nested"
    if any(test(kind) for test in _LISTS):
        return "text" if _kind(kind.value_type) == "text" else "nested"
    if any(test(kind) for test in _BYTES):
        return "image"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    plain = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return "number" if plain else "other"


def _reason(error: Exception) -> str:
    text = spoken_name(" ".join(str(error).split())).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
