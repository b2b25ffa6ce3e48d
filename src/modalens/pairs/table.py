"""Images, or sounds, and captions listed in a CSV or TSV file."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import islice, zip_longest
from pathlib import PurePath
from typing import Any

from modalens.errors import InputError
from modalens.pairs.audio import SoundFile
from modalens.pairs.base import Pair, Pairs, Skipped
from modalens.pairs.images import FileImage
from modalens.pairs.paths import find_item, require_file
from modalens.pairs.remote import is_url
from modalens.pairs.text import UnusableError, clean_caption, escape_name, listed_names, spoken_name
from modalens.redaction import public_url

# Longest field that is read, in characters; a caption has its own limit.
_MAX_FIELD = 2**26

# Column of files to the modality it holds, and to what decodes one.
_KINDS: dict[str, tuple[str, type[FileImage] | type[SoundFile]]] = {
    "image": ("image", FileImage),
    "audio": ("audio", SoundFile),
    "sound": ("audio", SoundFile),
}


class CsvPairs(Pairs):
    """The rows of a CSV file (tab-separated if it ends in ``.tsv``) with columns ``image`` and ``caption``.

    A column ``audio`` or ``sound`` in the place of ``image`` lists WAV files instead, for models that hear.

    Files are looked for relative to the table's folder, then in the folder beside it that is called as the
    column with an s: ``images``, ``audios`` or ``sounds``. A file may stand in several rows, one per caption.
    Other columns become labels. The table is read as a stream, a first time to check it before any pair is
    given.

    A pair's id is its ``id`` column where there is one without blanks and repeats; else the file's path
    and a hash of the caption, which a reordering of the rows leaves alone.

    Parameters
    ----------
    location
        The file, in UTF-8.

    Raises
    ------
    ModalensError
        If there is no such file or it lacks a column; while walking, if it is malformed or not UTF-8.
    """

    example = "csv:captions.csv"

    def __init__(self, location: str) -> None:
        self.name = f"csv:{location}"
        self.path = require_file(location, "file", self.example)
        self.columns = next((cells for _, cells in self._lines()), [])
        listed = [name for name in _KINDS if name in self.columns]
        missing = [
            name for name, found in (("image", listed), ("caption", "caption" in self.columns)) if not found
        ]
        if missing:
            raise InputError(
                f"The file '{location}' has no column {' and no column '.join(missing)}; "
                f"its columns are: {listed_names(self.columns)}."
            )
        if len(listed) > 1:
            raise InputError(
                f"The file '{location}' has the columns {' and '.join(listed)}; keep the one that the captions tell "
                "of."
            )
        self.column = listed[0]
        kind, self._file = _KINDS[self.column]
        self.modalities = (kind, "text")
        if len(set(self.columns)) < len(self.columns):
            raise InputError(
                f"The file '{location}' has two columns of one name: {listed_names(self.columns)}."
            )

    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over the rows."""
        seen: set[str] = set()
        for line, cells in self._rows():
            try:
                pair = self._pair(cells)
                if pair.id in seen:
                    raise UnusableError(
                        f"An earlier row has the same {self.column} and caption as '{pair.id}'."
                    )
            except UnusableError as error:
                yield Skipped(f"line {line}", str(error))
            else:
                seen.add(pair.id)
                yield pair

    def count(self) -> int:
        """Number of rows, known after reading the file once."""
        return self._survey.rows

    def card(self) -> dict[str, Any]:
        """Name and columns."""
        return {"source": self.name, "columns": self.columns}

    def _pair(self, cells: list[str]) -> Pair:
        if len(cells) > len(self.columns):
            raise UnusableError(f"The row has {len(cells)} fields, the header {len(self.columns)}.")
        label = self._labelled(cells)
        file, caption = label.pop(self.column).strip(), label.pop("caption")
        if not file:
            raise UnusableError(f"The row names no {self.column}.")
        if is_url(file):
            raise UnusableError(
                f"The {self.column} '{spoken_name(public_url(file))}' is a URL, and a table lists files; download it "
                "and name the file."
            )
        text = clean_caption(caption)
        if self._survey.has_ids:
            identity = label.pop("id").strip()
        else:
            digest = blake2b(text.encode(), digest_size=4).hexdigest()
            identity = f"{escape_name(PurePath(file).as_posix())}#{digest}"
        return Pair(id=identity, ref=self._find(PurePath(file)), text=text, label=label)

    def _find(self, file: PurePath) -> FileImage | SoundFile:
        missing = None
        # A table may list files anywhere; those of the folder beside it may go by their bare names.
        for relative in (file, f"{self.column}s" / file):
            try:
                path = find_item(self.path.parent, relative, self.column, anywhere=True)
            except UnusableError as error:
                missing = missing or error
            else:
                return self._file(path, key=escape_name(relative.as_posix()))
        raise missing or UnusableError(f"The row names no {self.column}.")

    @cached_property
    def _survey(self) -> "_Survey":
        rows, ids = 0, set()
        for _, cells in self._rows():
            rows += 1
            if "id" in self.columns:
                ids.add(self._labelled(cells)["id"].strip())
        return _Survey(rows, has_ids=len(ids - {""}) == rows)

    def _labelled(self, cells: list[str]) -> dict[str, str]:
        """Cells by column; those a short row lacks are empty."""
        return dict(zip_longest(self.columns, cells[: len(self.columns)], fillvalue=""))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        return islice(self._lines(), 1, None)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Cells of every line that is not blank, the header included, with the line's number."""
        delimiter = "\t" if self.path.suffix.lower() == ".tsv" else ","
        line = 0
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD))
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as stream:
                # Strict, because the lenient reader takes a lost quote for the start of one huge cell.
                reader = csv.reader(stream, delimiter=delimiter, strict=True)
                for cells in reader:
                    line = reader.line_num
                    if cells:
                        yield line, cells
        except UnicodeDecodeError as error:
            # It is read in blocks: of a file of few lines none is whole before the fault shows.
            where = f" after line {line}" if line else ""
            raise InputError(f"The file '{self.path}' is not UTF-8 text{where}; save it as UTF-8.") from error
        except csv.Error as error:
            raise InputError(f"The file '{self.path}' is malformed after line {line}: {error}.") from error
        except OSError as error:
            raise InputError(f"The file '{self.path}' cannot be read ({error.strerror}).") from error


@dataclass(frozen=True)
class _Survey:
    rows: int
    has_ids: bool
    """Whether every row has an id of its own."""
