"""Results known by their inputs: reused while these match, else made again or named with what has changed.

A result is a folder (or some files of one). Its record, written last, lists what it was made from and the checksum of
every file, so that a result that is half made, damaged or made from something else is never taken for the one asked.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

from modalens.errors import ModalensError, StoreError
from modalens.hashing import sha256_of
from modalens.store.atomic import PARTIAL_SUFFIX
from modalens.store.documents import read_document, write_document
from modalens.store.lock import LOCK_NAME, alone_in
from modalens.version import __version__

logger = logging.getLogger(__name__)

RECORD_NAME = "inputs.json"
_KIND = "modalens inputs"
_SCHEMA_VERSION = 1
_LONGEST = 60

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """A result in a folder, and the inputs it must have been made from.

    Attributes
    ----------
    folder
        Where its files are.
    what
        What it is called in sentences, such as ``the scores``.
    inputs
        Everything the result follows from: digests of stores and files, upstream results, and the options that this
        very step reads. Plain JSON values. The version of modalens is added.
    command
        What makes it, such as ``modalens score RUN``.
    files
        Patterns of its files below the folder.
    record_name
        File of the record; another where several results share a folder.
    leave_out
        Patterns of names in the folder that are no part of the result.
    notes
        What the record holds beside the inputs and is never compared, such as paths whose files count by content.
    """

    folder: Path
    what: str
    inputs: Mapping[str, Any]
    command: str
    files: tuple[str, ...] = ("**/*",)
    record_name: str = RECORD_NAME
    leave_out: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        """The file that says what the result was made from."""
        return self.folder / self.record_name

    def problem(self) -> str | None:
        """Why the result cannot be used, in one sentence; None if it can."""
        if not self.record.exists():
            return f"There is no record of {self.what} in {self.folder}; run {self.command}."
        try:
            document = read_document(self.record, _KIND, _SCHEMA_VERSION)
        except ModalensError as error:
            return f"{error} Run {self.command} to make {self.what} again."
        now = stable(self.all_inputs())
        if document.get("inputs") != now:
            changed = difference(document.get("inputs"), now)
            return (
                f"What is in {self.folder}, {self.what}, was made from other inputs ({changed}); "
                f"run {self.command} to make it again."
            )
        recorded = document.get("files")
        if not isinstance(recorded, dict):
            return f"What is in {self.folder}, {self.what}, is not finished; run {self.command} to go on."
        for name, checksum in recorded.items():
            path = self.folder / name
            if not path.is_file() or sha256_of(path) != checksum:
                state = "damaged: its checksum differs" if path.is_file() else "missing"
                return f"{path} is {state}; run {self.command} to make {self.what} again."
        return None

    def require(self) -> None:
        """Raise a :class:`ModalensError` with the sentence of :meth:`problem`, if there is one."""
        if (problem := self.problem()) is not None:
            raise ModalensError(problem)

    def recorded_inputs(self) -> Mapping[str, Any] | None:
        """What the result there was made from; None if there is none, or its record is damaged."""
        return read_inputs(self.folder, self.record_name)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Hold the folder while the result is made; what the block leaves there is recorded as made from the inputs.

        Until the block ends well, the record says that the result is unfinished. Where it fails before it has
        changed anything (an option that does not fit the data, say), the earlier result stays what it was, and where
        there was none, none is said to have been begun.

        Raises
        ------
        ModalensError
            If another process is making it, or the disk is full.
        """
        with alone_in(self.folder):
            before = self._recorded()
            self.begin()
            try:
                yield
            except BaseException:
                if before.get("files") == self._checksums():
                    write_document(self.record, _KIND, _SCHEMA_VERSION, before)
                elif not before and not any(
                    path.name not in (self.record_name, LOCK_NAME) for path in self.folder.iterdir()
                ):
                    self.record.unlink()
                raise
            self.finish()

    def begin(self) -> None:
        """Record that the result is being made from these inputs; the folder must be held."""
        self._write(None)

    def finish(self) -> None:
        """Record that the files there are the whole result; the folder must be held."""
        self._write(self._checksums())

    def _checksums(self) -> dict[str, str]:
        return {path.relative_to(self.folder).as_posix(): sha256_of(path) for path in self._files()}

    def _recorded(self) -> dict[str, Any]:
        """What the record says; nothing where there is none, or it is damaged."""
        try:
            document = read_document(self.record, _KIND, _SCHEMA_VERSION)
        except ModalensError:
            return {}
        return {name: document[name] for name in ("inputs", "files", "notes") if name in document}

    def _write(self, files: Mapping[str, str] | None) -> None:
        values = {"inputs": stable(self.all_inputs()), "files": files, "notes": stable(self.notes)}
        write_document(self.record, _KIND, _SCHEMA_VERSION, values)

    def all_inputs(self) -> dict[str, Any]:
        """The inputs as the record has them, with the version of modalens."""
        return {"modalens": __version__, **self.inputs}

    def _files(self) -> list[Path]:
        found = {path for pattern in self.files for path in self.folder.glob(pattern) if path.is_file()}
        skipped = {self.record_name, LOCK_NAME}
        return sorted(
            path
            for path in found
            if path.name not in skipped
            and path.suffix != PARTIAL_SUFFIX
            and not any(fnmatch(path.relative_to(self.folder).parts[0], each) for each in self.leave_out)
        )


def kept_or_made(kept: Kept, load: Callable[[], T], make: Callable[[], T]) -> T:
    """The result that is there, if it was made from the same inputs; else it is made and recorded.

    Parameters
    ----------
    kept
        The result.
    load
        Reads it.
    make
        Makes it and writes its files.
    """
    problem = kept.problem()
    if problem is None:
        return load()
    if kept.recorded_inputs() is not None:
        logger.info("%s", problem)
    with kept.making():
        return make()


def check_recorded(folder: Path, record_name: str = RECORD_NAME) -> None:
    """Raise if a file of the finished result in a folder is not the one that its record names.

    A folder without a record says nothing, and one that is missing is told by whoever reads it.

    Raises
    ------
    StoreError
        If a checksum differs.
    """
    try:
        recorded = read_document(folder / record_name, _KIND, _SCHEMA_VERSION).get("files")
    except ModalensError:
        return
    for name, checksum in (recorded if isinstance(recorded, dict) else {}).items():
        path = folder / name
        if path.is_file() and sha256_of(path) != checksum:
            raise StoreError(
                f"{path} is damaged: its checksum differs from the one in {folder / record_name}."
            )


def read_inputs(folder: Path, record_name: str = RECORD_NAME) -> Mapping[str, Any] | None:
    """What the result in a folder was made from; None if there is none, or its record is damaged."""
    try:
        found = read_document(folder / record_name, _KIND, _SCHEMA_VERSION).get("inputs")
    except ModalensError:
        return None
    return found if isinstance(found, dict) else None


def read_notes(folder: Path, record_name: str = RECORD_NAME) -> Mapping[str, Any]:
    """What a record holds beside the inputs; nothing if there is none, or it is damaged."""
    try:
        found = read_document(folder / record_name, _KIND, _SCHEMA_VERSION).get("notes")
    except ModalensError:
        return {}
    return found if isinstance(found, dict) else {}


def is_finished(folder: Path, record_name: str = RECORD_NAME) -> bool:
    """Whether the result in a folder is whole, as far as its record says; one without a record counts as whole."""
    try:
        document = read_document(folder / record_name, _KIND, _SCHEMA_VERSION)
    except ModalensError:
        return True
    return isinstance(document.get("files"), dict)


def set_aside(path: Path, into: Path) -> Path | None:
    """Move something that was made from other inputs out of the way, never over something else.

    Returns
    -------
    Path or None
        Where it is now: a folder of ``into``, by its name and a number. None where a process died before it wrote one
        whole file there: nothing is lost with that folder, and it is deleted.
    """
    if not any(_whole_files(path)):
        shutil.rmtree(path)
        return None
    into.mkdir(parents=True, exist_ok=True)
    number = 1
    while (target := into / f"{path.name}-{number}").exists():
        number += 1
    path.rename(target)
    logger.warning("%s was made from other inputs and is now in %s", path, target)
    return target


def _whole_files(path: Path) -> Iterator[Path]:
    """What a file or folder holds but for locks and files that were never finished."""
    files = path.rglob("*") if path.is_dir() else [path]
    return (
        file for file in files if file.is_file() and file.name != LOCK_NAME and file.suffix != PARTIAL_SUFFIX
    )


def stable(value: Any) -> Any:
    """A value as a JSON file gives it back, without the versions of libraries, which may move under a run."""
    if isinstance(value, Mapping):
        return {str(name): stable(item) for name, item in value.items() if name != "versions"}
    if isinstance(value, list | tuple):
        return [stable(item) for item in value]
    return json.loads(json.dumps(value, default=str))


def difference(before: Any, now: Any, where: str = "") -> str:
    """The first thing in which two nested values differ, for a sentence."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*before, *now]):
            if before.get(name) != now.get(name):
                return difference(before.get(name), now.get(name), f"{where} {name}".lstrip())
    return f"{where} {_short(before)} there, {_short(now)} here".lstrip()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
