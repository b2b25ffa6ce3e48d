"""One process at a time writes to a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import local

from filelock import FileLock, Timeout

from modalens.errors import BusyError, ModalensError
from modalens.files import check_path

LOCK_NAME = ".lock"
_threads = local()


@contextmanager
def alone_in(folder: Path, doing: str = "writing to") -> Iterator[None]:
    """Keep other processes out of a folder, which is made if need be; the system lets go when a process dies.

    Parameters
    ----------
    folder
        Where this process writes.
    doing
        What the other process is said to be doing to it.

    Raises
    ------
    BusyError
        If another process, or another thread of this one, is there already.
    ModalensError
        If the folder is a file, or its path is no UTF-8 text.
    """
    check_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        above = next((each for each in folder.parents if each.is_file()), folder)
        raise ModalensError(f"{above} is a file; name a folder to write to.") from error
    held = _held()
    key = folder.resolve()
    if key in held:  # a step within a step of this thread
        yield
        return
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError(f"Another process is {doing} {folder}; wait for it to end.") from error
    held.add(key)
    try:
        yield
    finally:
        held.discard(key)
        lock.release()


def _held() -> set[Path]:
    """Folders that this thread holds."""
    if not hasattr(_threads, "held"):
        _threads.held = set()
    found: set[Path] = _threads.held
    return found
