"""One process at a time writes to a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from modalens.errors import ModalensError

LOCK_NAME = ".lock"


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
    ModalensError
        If another process is there already, or the folder is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ModalensError(f"{folder} is a file; name a folder to write to.") from error
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ModalensError(f"Another process is {doing} {folder}; wait for it to end.") from error
    try:
        yield
    finally:
        lock.release()
