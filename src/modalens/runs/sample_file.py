"""One file of sample embeddings, filled row by row: what is not there yet is NaN."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout

from modalens.errors import ModalensError
from modalens.store.atomic import whole_file
from modalens.store.documents import read_document, write_document
from modalens.store.kept import difference, stable

BLOCK_ROWS = 4096
_KIND = "modalens sample embeddings"
_SCHEMA_VERSION = 1


def rows_so_far(path: Path, description: Mapping[str, Any]) -> np.ndarray | None:
    """The file as it stands, to read without holding it: of shape (pairs, d), NaN where nothing is yet.

    None where no file is; raises like :func:`kept_rows` where it was made of something else.
    """
    if not (path.exists() and path.with_suffix(".json").exists()):
        return None
    _check(path, description)
    return _opened(path, (description["pairs"], description["d"]), "r")


@contextmanager
def kept_rows(path: Path, description: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """Open a .npy file to fill, alone; made of NaN if it is not there.

    Parameters
    ----------
    path
        The .npy file; the .json of the same name says what made it.
    description
        What makes it: ``embedder`` (a card), ``pairs`` and ``d`` (its shape), ``samples_sha256``, and anything
        else.

    Yields
    ------
    ndarray
        Memory-mapped for writing, of shape (pairs, d) in float32.

    Raises
    ------
    ModalensError
        If the file was made of something else, another process holds it, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ModalensError(f"{path.parent} is a file; name a folder for the embeddings.") from error
    lock = FileLock(path.with_name(f".{path.stem}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ModalensError(f"Another process is writing to {path}; wait for it to end.") from error
    try:
        _prepare(path, description)
        matrix = _opened(path, (description["pairs"], description["d"]), "r+")
        yield matrix
        matrix.flush()
    finally:
        lock.release()


def _prepare(path: Path, description: Mapping[str, Any]) -> None:
    """Make the file of embeddings, all NaN, or see that the one there is of the same model and pairs."""
    document = path.with_suffix(".json")
    if not document.exists():
        if path.exists():
            raise ModalensError(
                f"{path} does not say what made it ({document} is missing); name another folder."
            )
        write_document(document, _KIND, _SCHEMA_VERSION, dict(description))
    _check(path, description)
    if not path.exists():
        _write_nans(path, (description["pairs"], description["d"]))


def _check(path: Path, description: Mapping[str, Any]) -> None:
    """See that the embeddings there are of the same model and pairs."""
    before = stable(read_document(path.with_suffix(".json"), _KIND, _SCHEMA_VERSION))
    now = stable(description)
    for part in ("embedder", "pairs", "d", "samples_sha256"):
        if before.get(part) != now[part]:
            raise ModalensError(
                f"{path} was made from other inputs ({part} {difference(before.get(part), now[part])}); name another "
                "folder or remove that file and its .json."
            )


def _opened(path: Path, shape: tuple[int, int], mode: Literal["r", "r+"]) -> np.memmap:
    try:
        # Read first: opened for writing, a file that was cut short would be filled up with zeros.
        matrix = np.lib.format.open_memmap(path, mode="r")
        if mode == "r+":
            matrix = np.lib.format.open_memmap(path, mode=mode)
    except (OSError, ValueError, EOFError) as error:
        raise ModalensError(f"{path} cannot be read ({error}); remove it and embed again.") from error
    if matrix.shape != shape:
        raise ModalensError(f"{path} has shape {matrix.shape}, not {shape}; remove it and embed again.")
    return matrix


def _write_nans(path: Path, shape: tuple[int, int]) -> None:
    """A .npy file with its whole size on the disk, so that the memory map cannot run out of space later."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with whole_file(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, shape[0], BLOCK_ROWS):
            block = np.full((min(BLOCK_ROWS, shape[0] - start), shape[1]), np.nan, dtype="<f4")
            file.write(block.tobytes())
