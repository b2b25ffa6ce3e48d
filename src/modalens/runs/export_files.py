"""Where the files of an export go: never over what no export wrote, and never among the parts of a run."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from modalens.errors import InputError, ModalensError
from modalens.hashing import sha256_of
from modalens.runs.layout import RunFolder
from modalens.store.documents import read_document, write_document
from modalens.store.lock import alone_in

EXPORT = "export"
"""Folder of exports in a run."""
# The files of an export are made in this folder, and then named with their checksums in this record.
_MADE, _RECORD, _KIND, _SCHEMA_VERSION = ".export.partial", ".export.json", "modalens export", 1


def put_files(folder: Path, run: RunFolder, write: Callable[[Path], Iterable[Path]]) -> list[Path]:
    """Make the files of an export aside, and move them to their folder once all are made.

    Parameters
    ----------
    folder
        Where they go.
    run
        The run that they are of.
    write
        Writes them into a folder that it is given, and gives their paths there.

    Returns
    -------
    list of Path
        The files. Those that an earlier export wrote there are replaced.

    Raises
    ------
    ModalensError
        If the folder is a part of the run, another process exports to it, or a file is there that no export wrote.
    """
    _check_place(folder, run)
    with alone_in(folder):
        made = folder / _MADE
        shutil.rmtree(made, ignore_errors=True)  # of a process that died
        try:
            paths = [path.relative_to(made) for path in write(made)]
            _put(paths, made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return [folder / path for path in paths]


def _check_place(folder: Path, run: RunFolder) -> None:
    """Refuse a folder among the parts of a run, where files of other tools would be taken for a part.

    Raises
    ------
    InputError
        If it is one.
    """
    place = folder.resolve()
    if place.is_relative_to(run.whole.folder.resolve()) and not any(
        place.is_relative_to((each.folder / EXPORT).resolve()) for each in (run, run.whole)
    ):
        raise InputError(
            f"{folder} lies among the parts of the run; name a folder outside it, or none for {EXPORT}/ in the run."
        )


def _put(paths: Sequence[Path], made: Path, folder: Path) -> None:
    """Move finished files to their places, never over one that no export wrote.

    Raises
    ------
    InputError
        If there is such a file; nothing is moved then.
    """
    sums = {path: sha256_of(made / path) for path in paths}
    known = _written(folder)
    for path, checksum in sums.items():
        there = folder / path
        own = {checksum, *known.get(path.as_posix(), ())}
        if there.exists() and not (there.is_file() and sha256_of(there) in own):
            raise InputError(
                f"{there} is there already, and not as an export wrote it; name another folder, or move it away."
            )

    def record(earlier: Mapping[str, Sequence[str]]) -> None:
        now = {path.as_posix(): [*earlier.get(path.as_posix(), ()), own] for path, own in sums.items()}
        write_document(folder / _RECORD, _KIND, _SCHEMA_VERSION, {"files": {**known, **now}})

    record(known)  # a process that dies on the way leaves files of either export
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).replace(folder / path)
    record({})


def _written(folder: Path) -> dict[str, list[str]]:
    """Checksums of the files that exports wrote to a folder, several where one of them did not end."""
    try:
        files = read_document(folder / _RECORD, _KIND, _SCHEMA_VERSION).get("files")
    except ModalensError:
        return {}
    known = files.items() if isinstance(files, dict) else ()
    return {
        name: [each for each in sums if isinstance(each, str)]
        for name, sums in known
        if isinstance(sums, list)
    }
