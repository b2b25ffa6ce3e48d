"""The engines by name."""

from modalens.engine.ray_engine import RayEngine
from modalens.engine.workers import Engine, LocalEngine
from modalens.errors import ModalensError

ENGINES = ("local", "ray")


def open_engine(name: str = "local", workers: int = 1, address: str | None = None) -> Engine:
    """An engine, to be used as a context manager.

    Parameters
    ----------
    name
        ``local``: one worker is this process, which uses all cores to embed; more are processes of one core each, and
        share the GPU if there is one. ``ray``: workers on a Ray cluster, each with a GPU of its own where there are
        some, else with one core.
    workers
        How many are at work side by side.
    address
        Of a Ray cluster; by default the one that ``RAY_ADDRESS`` names, else one that is started here.

    Raises
    ------
    ModalensError
        If there is no such engine, ``workers`` is less than 1, ``local`` is given an address, or Ray is not
        installed.
    """
    if name == "local":
        if address is not None:
            raise ModalensError("The engine local has no address; leave it out, or choose the engine ray.")
        return LocalEngine(workers)
    if name == "ray":
        return RayEngine(workers, address)
    raise ModalensError(f"There is no engine {name!r}; choose one of {', '.join(ENGINES)}.")
