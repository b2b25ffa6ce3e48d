"""The engines by name."""

from modalens.engine.workers import Engine, LocalEngine
from modalens.errors import ModalensError

ENGINES = ("local",)


def open_engine(name: str = "local", workers: int = 1, address: str | None = None) -> Engine:
    """An engine, to be used as a context manager.

    Parameters
    ----------
    name
        ``local``.
    workers
        Processes at work side by side.
    address
        Not for ``local``.

    Raises
    ------
    ModalensError
        If there is no such engine, ``workers`` is less than 1, or ``local`` is given an address.
    """
    if name not in ENGINES:
        raise ModalensError(f"There is no engine {name!r}; choose one of {', '.join(ENGINES)}.")
    if address is not None:
        raise ModalensError("The local engine has no address; leave it out.")
    return LocalEngine(workers)
