"""Images and captions of Hugging Face datasets, streamed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl

from modalens.errors import InputError, MissingPackageError
from modalens.files import read_json
from modalens.hub_errors import hub_sentences
from modalens.pairs.arrow import ArrowFiles
from modalens.pairs.base import ImageRef, Pair, Pairs, Skipped
from modalens.pairs.columns import choose_columns
from modalens.pairs.images import BytesImage, FileImage
from modalens.pairs.paths import find_item
from modalens.pairs.remote import RemoteImage, is_url
from modalens.pairs.text import (
    UnusableError,
    clean_caption,
    escape_name,
    listed_names,
    plain_text,
    spoken_name,
)
from modalens.redaction import public_name, public_url

_COLUMNS = ("image", "text", "id")
_SETTINGS = (*_COLUMNS, "config", "revision")
# Where a dataset of the hub may say that an image lies.
_PUBLIC = ("hf", "http", "https")


class HuggingFacePairs(Pairs):
    """The rows of one split of a Hugging Face dataset, streamed in its order.

    The columns of images and captions are guessed (see :func:`~modalens.pairs.columns.choose_columns`) or
    named; a column of lists holds several captions of one image. Plain values of other columns become labels.

    A pair's id is a hash of the image and one of the caption, which neither a reordering of the rows nor a
    change of shards moves; a row that repeats another's is skipped. With ``id=COLUMN`` it is that column's
    value, followed by ``#0``, ``#1``, ... where the row has several captions. The ids of a walk are
    remembered, about 0.1 GB a million.

    Parameters
    ----------
    location
        ``NAME:SPLIT``, with NAME a dataset of the hub, a local folder of Parquet, Arrow, WebDataset or
        image files, or one Parquet or Arrow file; SPLIT may be left out of what lies here and has one. Images
        that rows only name lie beside their row's file or below the folder. Settings follow as in
        ``NAME:SPLIT?image=img&text=caption``: the columns ``image``, ``text`` and ``id``, the hub's
        ``revision`` (a branch, tag or commit), and ``config`` where a dataset
        has several. A hub dataset is held at the commit that its revision has now.

    Raises
    ------
    ModalensError
        If the location or a setting is malformed, the ``hf`` extra is missing, the dataset, split or column
        does not exist, or the hub cannot be reached; while walking, if a row cannot be read.
    """

    example = "hf:nlphuji/flickr30k:test"

    def __init__(self, location: str) -> None:
        self.name = f"hf:{location}"
        self._address = _parse(location)
        self._folder = Path(self._address.name).expanduser()
        self._commit: str | None = None
        if self._folder.is_file():
            self._table: ArrowFiles | _Streamed = self._one_file(self._folder)
            self._folder = self._folder.parent
        else:
            self._table = self._one_split()
        self.columns = choose_columns(
            f"the dataset {self._address.name}", self._table.kinds, **self._address.columns
        )
        self._kept = [self.columns.image, self.columns.text]
        if self.columns.id is not None and self.columns.id not in self._kept:
            self._kept.append(self.columns.id)
        self._labels = [
            name
            for name, kind in self._table.kinds.items()
            if kind in ("text", "number") and name not in self._kept
        ]

    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over the rows, without decoding images."""
        seen: set[str] = set()
        for number, (file, row) in enumerate(self._table.rows(self._kept, self._labels)):
            try:
                ref = self._image(_read(row, self.columns.image, "image"), file)
                captions = _captions(_read(row, self.columns.text, "caption"))
                given = None if self.columns.id is None else _plain_id(_read(row, self.columns.id, "id"))
            except UnusableError as error:
                yield Skipped(f"row {number}", str(error))
                continue
            names = [*self._labels, *self._kept[2:]]
            label = {name: row[name] for name in names if isinstance(row[name], str | int | float)}
            for index, caption in enumerate(captions):
                place = f"row {number}" if len(captions) == 1 else f"row {number}, caption {index}"
                try:
                    text = clean_caption(caption)
                    identity = f"{ref.key}#{_digest(text.encode(), 4)}"
                    if given is not None:
                        identity = given if len(captions) == 1 else f"{given}#{index}"
                    if identity in seen:
                        what = (
                            "the same image and caption"
                            if given is None
                            else f"the id '{spoken_name(identity)}'"
                        )
                        raise UnusableError(f"An earlier row has {what}.")
                except UnusableError as error:
                    yield Skipped(place, str(error))
                else:
                    seen.add(identity)
                    yield Pair(id=identity, ref=ref, text=text, label=label)

    def card(self) -> dict[str, Any]:
        """Name, commit on the hub, and the columns that were taken."""
        pinned = {} if self._commit is None else {"revision": self._commit}
        return {"source": self.name, **pinned, "columns": vars(self.columns)}

    def _one_file(self, path: Path) -> ArrowFiles:
        split = self._address.split
        if split not in (None, "train") and split not in path.stem:
            raise InputError(f"The file {path} is one table; leave the split '{split}' out.")
        return ArrowFiles([path], f"the dataset {self._address.name}")

    def _one_split(self) -> "ArrowFiles | _Streamed":
        """The split that is asked for, of a folder or of a dataset of the hub."""
        library, name = _library(), self._address.name
        if not self._folder.is_dir():
            self._commit = _commit(self._address)
        found: Mapping[str, Any] | None = None
        try:
            if self._commit is not None:
                splits = library.load_dataset(
                    name, self._address.config, revision=self._commit, streaming=True
                )
            elif _saved_by_library(self._folder):
                splits = _saved_splits(self._folder, self._address.split)
            else:
                # The library knows which files are a split's; it would end at a type that it does not know.
                builder = library.load_dataset_builder(str(self._folder), self._address.config)
                found = builder.config.data_files if builder.name in ("parquet", "arrow") else None
                splits = found or library.load_dataset(
                    str(self._folder), self._address.config, streaming=True
                )
        except InputError:
            raise
        except Exception as error:  # the library raises anything
            raise InputError(f"The dataset {name} cannot be opened ({_reason(error)}).") from error
        split = self._address.split or (str(next(iter(splits))) if len(splits) == 1 else None)
        if split not in splits:
            raise InputError(
                f"The dataset {name} has no split '{split or ''}'; its splits are: "
                f"{listed_names([str(each) for each in splits])}."
            )
        if found is not None:
            return ArrowFiles([Path(file) for file in splits[split]], f"the dataset {name}")
        chosen = splits[split]
        if isinstance(chosen, Path):
            try:
                chosen = library.load_from_disk(str(chosen)).to_iterable_dataset()
            except Exception as error:  # the library raises anything
                said = "it has no rows" if _is_empty(chosen) else _reason(error)
                raise InputError(f"The split '{split}' of {name} cannot be opened ({said}).") from error
        return _Streamed(library, chosen, name)

    def _image(self, cell: Any, file: Path | None) -> ImageRef:
        if isinstance(cell, bytes):
            cell = {"bytes": cell}
        if cell is not None and not isinstance(cell, Mapping):
            raise UnusableError(f"The row's image is a {type(cell).__name__}, not bytes.")
        data, place = (cell or {}).get("bytes"), (cell or {}).get("path")
        if data and isinstance(data, bytes):
            return BytesImage(key=_digest(data, 10), data=data)
        if data or not place or not isinstance(place, str):
            raise UnusableError("The row's image is not bytes." if data else "The row has no image.")
        if is_url(place):
            # zip://a.jpg::https://host/all.zip names the place of the archive last.
            if place.rpartition("::")[2].partition("://")[0] not in _PUBLIC:
                shown = spoken_name(public_url(place))
                raise UnusableError(f"The image '{shown}' is neither on the hub nor on the web.")
            return RemoteImage(place, key=plain_text(public_name(place.replace(f"@{self._commit}", ""))))
        if self._commit is not None:
            raise UnusableError(f"The image '{spoken_name(place)}' is outside the dataset.")
        return self._file(place, file)

    def _file(self, place: str, file: Path | None) -> FileImage:
        """An image that a row names: beside the row's file, or else below the folder."""
        root = self._folder.resolve()
        relative = PurePosixPath(place)
        if relative.is_absolute() and relative.is_relative_to(root):
            relative = relative.relative_to(root)
        beside = None if file is None else PurePosixPath(file.resolve().parent.relative_to(root).as_posix())
        missing: UnusableError | None = None
        for name in dict.fromkeys([relative if beside is None else beside / relative, relative]):
            try:
                return FileImage(find_item(root, name, "image"), key=escape_name(name.as_posix()))
            except UnusableError as error:
                missing = missing or error
        raise missing or UnusableError("The row has no image.")


class _Streamed:
    """One split as the library streams it."""

    def __init__(self, library: Any, dataset: Any, name: str) -> None:
        self._library, self._dataset, self._name = library, dataset, name
        self.kinds = {column: self._kind(feature) for column, feature in (dataset.features or {}).items()}

    def rows(
        self, needed: Sequence[str], labels: Sequence[str]
    ) -> Iterator[tuple[Path | None, Mapping[str, Any]]]:
        """Every row; the library does not say of which file it is."""
        rows = self._dataset.select_columns([*needed, *labels]).cast_column(
            needed[0], self._library.Image(decode=False)
        )
        number = -1
        try:
            for row in rows:
                yield None, row
                number += 1
        except Exception as error:  # the library raises anything
            raise InputError(
                f"The dataset {self._name} cannot be read after row {number} ({_reason(error)}); run again and it "
                "goes on there."
            ) from error

    def _kind(self, feature: Any) -> str:
        """What a column holds, for :func:`choose_columns`."""
        library = self._library
        if isinstance(feature, library.Image):
            return "image"
        if isinstance(feature, Mapping):
            return "image" if feature.keys() == {"bytes", "path"} else "nested"
        if isinstance(feature, list | library.List | library.LargeList):
            element = feature[0] if isinstance(feature, list) else feature.feature
            return "text" if self._kind(element) == "text" else "nested"
        if isinstance(feature, library.ClassLabel):
            return "number"
        dtype = str(getattr(feature, "dtype", ""))
        if dtype.endswith(("binary", "binary_view")):
            return "image"
        if dtype.endswith(("string", "string_view")):
            return "text"
        return "number" if dtype.startswith(("int", "uint", "float", "bool")) else "other"


@dataclass(frozen=True)
class _Address:
    name: str
    split: str | None
    config: str | None
    revision: str | None
    columns: Mapping[str, str]


def _parse(location: str) -> _Address:
    place, _, query = location.partition("?")
    split: str | None
    name, _, split = place.rpartition(":")
    if place and _exists(place):
        name, split = place, None
    elif not name or not split:
        raise InputError(
            f"The source hf takes a dataset and a split, not '{location}'; give them as in "
            f"{HuggingFacePairs.example}."
        )
    try:
        settings = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise InputError(f"The settings '{query}' must be written as in ?image=img&text=caption.") from error
    if unknown := [key for key in settings if key not in _SETTINGS]:
        raise InputError(
            f"The source hf has no setting '{unknown[0]}'; the settings are: {', '.join(_SETTINGS)}."
        )
    columns = {key: value for key, value in settings.items() if key in _COLUMNS}
    return _Address(name, split, settings.get("config"), settings.get("revision"), columns)


def _library() -> Any:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise MissingPackageError.of("The source hf", "datasets", "hf") from error


def _commit(address: _Address) -> str:
    """The commit that a hub dataset's revision has now, so that later walks give the same rows."""
    from huggingface_hub import HfApi

    with hub_sentences(address.name, "dataset", revision=address.revision):
        found = HfApi().dataset_info(address.name, revision=address.revision, timeout=30).sha
    return str(found)


def _saved_by_library(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _saved_splits(folder: Path, asked: str | None) -> dict[str, Path]:
    """Folders of the splits that the library saved, by name; one that is not asked for may be empty or damaged."""
    several = folder / "dataset_dict.json"
    if several.is_file():
        names = read_json(several, f"The file {several}", dict).get("splits")
        return {str(name): folder / str(name) for name in (names if isinstance(names, list) else ())}
    saved = read_json(folder / "state.json", f"The file {folder / 'state.json'}", dict)
    return {str(saved.get("_split") or asked): folder}


def _is_empty(folder: Path) -> bool:
    """Whether a saved split has no file of rows; the library ends at such a one."""
    state = folder / "state.json"
    return state.is_file() and read_json(state, f"The file {state}", dict).get("_data_files") == []


def _exists(place: str) -> bool:
    try:
        return Path(place).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _read(row: Mapping[str, Any], column: str, what: str) -> Any:
    cell = row[column]
    if isinstance(cell, Exception):
        raise UnusableError(f"The {what} cannot be read ({_reason(cell)}).")
    return cell


def _captions(cell: Any) -> list[Any]:
    captions = cell if isinstance(cell, list) else [cell]
    if not captions:
        raise UnusableError("The caption is an empty list.")
    return captions


def _plain_id(value: Any) -> str:
    if value is None or str(value).strip() == "":
        raise UnusableError("The row has no id.")
    return plain_text(str(value).strip())


def _digest(data: bytes, size: int) -> str:
    return blake2b(data, digest_size=size).hexdigest()


def _reason(error: Exception) -> str:
    text = spoken_name(" ".join(str(error).split())).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
