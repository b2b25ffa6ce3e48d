"""Images and captions of Hugging Face datasets, streamed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from modalens.errors import InputError, MissingPackageError
from modalens.hub_errors import hub_sentences
from modalens.pairs.base import ImageRef, Pair, Pairs, Skipped
from modalens.pairs.columns import choose_columns
from modalens.pairs.images import BytesImage, FileImage
from modalens.pairs.remote import RemoteImage, is_url
from modalens.pairs.text import UnusableError, clean_caption, escape_name

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
        ``NAME:SPLIT``, with NAME a dataset of the hub or a local folder of Parquet, Arrow, WebDataset or
        image files; settings follow as in ``NAME:SPLIT?image=img&text=caption``: the columns ``image``,
        ``text`` and ``id``, the hub's ``revision`` (a branch, tag or commit), and ``config`` where a dataset
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
        self._datasets = _library()
        self._folder = Path(self._address.name).expanduser()
        self._commit = None if self._folder.is_dir() else _commit(self._address)
        dataset = self._split(self._open())
        kinds = {name: self._kind(feature) for name, feature in (dataset.features or {}).items()}
        self.columns = choose_columns(f"the dataset {self._address.name}", kinds, **self._address.columns)
        kept = [self.columns.image, self.columns.text]
        self._labels = [name for name in kinds if kinds[name] in ("text", "number") and name not in kept]
        self._rows = dataset.select_columns(kept + self._labels).cast_column(
            self.columns.image, self._datasets.Image(decode=False)
        )

    def scan(self) -> Iterator[Pair | Skipped]:
        """Walk over the rows, without decoding images."""
        seen: set[str] = set()
        for number, row in self._numbered_rows():
            try:
                ref = self._image(row[self.columns.image])
                captions = _captions(row[self.columns.text])
                given = None if self.columns.id is None else _plain_id(row[self.columns.id])
            except UnusableError as error:
                yield Skipped(f"row {number}", str(error))
                continue
            label = {name: row[name] for name in self._labels if isinstance(row[name], str | int | float)}
            for index, caption in enumerate(captions):
                place = f"row {number}" if len(captions) == 1 else f"row {number}, caption {index}"
                try:
                    text = clean_caption(caption)
                    identity = f"{ref.key}#{_digest(text.encode(), 4)}"
                    if given is not None:
                        identity = given if len(captions) == 1 else f"{given}#{index}"
                    if identity in seen:
                        what = "the same image and caption" if given is None else f"the id '{identity}'"
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

    def _open(self) -> Mapping[str, Any]:
        """The dataset's splits by name."""
        load = self._datasets.load_dataset
        try:
            if self._commit is not None:
                found = load(self._address.name, self._address.config, revision=self._commit, streaming=True)
            elif _saved_by_library(self._folder):
                found = self._datasets.load_from_disk(str(self._folder))
                if not isinstance(found, dict):
                    return {str(found.split or self._address.split): found.to_iterable_dataset()}
                return {name: each.to_iterable_dataset() for name, each in found.items()}
            else:
                found = load(str(self._folder), self._address.config, streaming=True)
        except Exception as error:  # the library raises anything
            raise InputError(
                f"The dataset {self._address.name} cannot be opened ({_reason(error)})."
            ) from error
        splits: Mapping[str, Any] = found
        return splits

    def _split(self, splits: Mapping[str, Any]) -> Any:
        if self._address.split not in splits:
            raise InputError(
                f"The dataset {self._address.name} has no split '{self._address.split}'; its splits are: "
                f"{', '.join(map(str, splits))}."
            )
        return splits[self._address.split]

    def _kind(self, feature: Any) -> str:
        """What a column holds, for :func:`choose_columns`."""
        if isinstance(feature, self._datasets.Image):
            return "image"
        if isinstance(feature, Mapping):
            return "image" if feature.keys() == {"bytes", "path"} else "nested"
        if isinstance(feature, list | self._datasets.List):
            element = feature[0] if isinstance(feature, list) else feature.feature
            return "text" if self._kind(element) == "text" else "nested"
        if isinstance(feature, self._datasets.ClassLabel):
            return "number"
        dtype = str(getattr(feature, "dtype", ""))
        if dtype.endswith("binary"):
            return "image"
        if dtype.endswith("string"):
            return "text"
        return "number" if dtype.startswith(("int", "uint", "float", "bool")) else "other"

    def _numbered_rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        number = -1
        try:
            for number, row in enumerate(self._rows):
                yield number, row
        except Exception as error:  # the library raises anything
            raise InputError(
                f"The dataset {self._address.name} cannot be read after row {number} ({_reason(error)}); run again "
                "and it goes on there."
            ) from error

    def _image(self, cell: Any) -> ImageRef:
        data, place = (cell or {}).get("bytes"), (cell or {}).get("path")
        if data:
            return BytesImage(key=_digest(data, 10), data=data)
        if not place:
            raise UnusableError("The row has no image.")
        if is_url(place):
            # zip://a.jpg::https://host/all.zip names the place of the archive last.
            if place.rpartition("::")[2].partition("://")[0] not in _PUBLIC:
                raise UnusableError(f"The image '{place}' is neither on the hub nor on the web.")
            return RemoteImage(place, key=place.replace(f"@{self._commit}", ""))
        path, root = Path(place).resolve(), self._folder.resolve()
        if self._commit is not None or not path.is_relative_to(root):
            raise UnusableError(f"The image '{escape_name(place)}' is outside the dataset.")
        return FileImage(path, key=escape_name(path.relative_to(root).as_posix()))


@dataclass(frozen=True)
class _Address:
    name: str
    split: str
    config: str | None
    revision: str | None
    columns: Mapping[str, str]


def _parse(location: str) -> _Address:
    place, _, query = location.partition("?")
    name, _, split = place.rpartition(":")
    if not name or not split:
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


def _captions(cell: Any) -> list[Any]:
    captions = cell if isinstance(cell, list) else [cell]
    if not captions:
        raise UnusableError("The caption is an empty list.")
    return captions


def _plain_id(value: Any) -> str:
    if value is None or str(value).strip() == "":
        raise UnusableError("The row has no id.")
    return str(value).strip()


def _digest(data: bytes, size: int) -> str:
    return blake2b(data, digest_size=size).hexdigest()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
