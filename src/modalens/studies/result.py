"""What every study hands back: tables, what they say, and how they were made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file
from modalens.store.documents import read_document, write_document
from modalens.version import __version__

RESULT_NAME = "result.json"
TABLES_FOLDER = "tables"
PICTURES_FOLDER = "pictures"
_KIND = "modalens.StudyResult"
_SCHEMA_VERSION = 1
_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


@dataclass(frozen=True)
class Picture:
    """A picture that a study made: the bytes of a PNG file, and what it shows in a sentence."""

    png: bytes = field(repr=False)
    caption: str


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Tables of one study, with what they let one say.

    Attributes
    ----------
    name, title
        Of the study: a short name for files (``removal``), and a heading for people.
    tables
        Data frames by name, in the order to show them; their index is not kept on disk.
    statements
        Sentences that the tables carry, each with its numbers; and what was left out of the study, and why.
    config
        Every setting that changes the numbers: plain values.
    source
        What the study was run on; free.
    pictures
        Pictures by name, in the order to show them.
    version
        The modalens that made it.
    """

    name: str
    title: str
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    statements: Sequence[str] = field(repr=False)
    config: Mapping[str, Any]
    source: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict, repr=False)
    version: str = __version__

    def __post_init__(self) -> None:
        for name in (self.name, *self.tables, *self.pictures):
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ModalensError(
                    f"{name!r} cannot name a study or a table; use lower-case letters and digits, joined by - or _."
                )

    def save(self, folder: str | PathLike[str]) -> None:
        """Write ``result.json``, ``pictures/NAME.png`` and ``tables/NAME.parquet``, with a .csv beside it for people.

        :meth:`load` gives the same tables bit for bit; sequences in ``config`` and ``source`` become lists.
        """
        folder = Path(folder)
        for name, table in self.tables.items():
            with whole_file(folder / TABLES_FOLDER / f"{name}.parquet") as partial:
                table.to_parquet(partial, index=False)
            with whole_file(folder / TABLES_FOLDER / f"{name}.csv") as partial:
                table.to_csv(partial, index=False)
        for name, picture in self.pictures.items():
            with whole_file(folder / PICTURES_FOLDER / f"{name}.png") as partial:
                partial.write_bytes(picture.png)
        values = {
            "name": self.name,
            "title": self.title,
            "version": self.version,
            "config": _plain(self.config),
            "source": _plain(self.source),
            "tables": list(self.tables),
            "statements": list(self.statements),
            "pictures": {name: picture.caption for name, picture in self.pictures.items()},
        }
        write_document(
            folder / RESULT_NAME, _KIND, _SCHEMA_VERSION, values
        )  # last: it says the rest is there

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If a file is missing, damaged, something else, or from a newer modalens.
        """
        folder = Path(folder)
        document = read_document(folder / RESULT_NAME, _KIND, _SCHEMA_VERSION)
        try:
            header = {
                key: document[key] for key in ("name", "title", "statements", "config", "source", "version")
            }
            captions = dict(document["pictures"])
            named = {name: Picture(b"", caption) for name, caption in captions.items()}
            result = cls(tables=dict.fromkeys(document["tables"], pd.DataFrame()), pictures=named, **header)
        except (KeyError, TypeError, OverflowError) as error:
            raise ModalensError(
                f"{folder / RESULT_NAME} is damaged ({error!r}); run the study again."
            ) from error
        tables = {name: _read_table(folder / TABLES_FOLDER / f"{name}.parquet") for name in result.tables}
        pictures = {
            name: Picture(_read_picture(folder / PICTURES_FOLDER / f"{name}.png"), caption)
            for name, caption in captions.items()
        }
        return cls(tables=tables, pictures=pictures, **header)


def _read_picture(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModalensError(f"The picture {path} is missing ({error}); run the study again.") from error


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise ModalensError(
            f"The table {path} is missing or cannot be read ({error}); run the study again."
        ) from error


def _plain(value: Any) -> Any:
    """The same with NumPy numbers and arrays, tuples and paths as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value
