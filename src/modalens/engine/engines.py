"""The engines by name."""

from dataclasses import dataclass

from modalens.engine.ray_engine import RayEngine
from modalens.engine.workers import Engine, LocalEngine
from modalens.errors import InputError
from modalens.options import Options, option

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class EngineConfig(Options):
    """Who does the work; see :func:`open_engine`. None of it changes a result."""

    engine: str = option("local", "Who does the work: this machine, or a Ray cluster.", choices=ENGINES)
    workers: int = option(1, "Processes at work side by side.", least=1)
    address: str | None = option(None, "Address of a Ray cluster (default: one on this machine).")


def open_engine(
    engine: str = EngineConfig.engine,
    workers: int = EngineConfig.workers,
    address: str | None = EngineConfig.address,
) -> Engine:
    """An engine, to be used as a context manager.

    Parameters
    ----------
    engine
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
    if engine == "local":
        if address is not None:
            raise InputError("The engine local has no address; leave it out, or choose the engine ray.")
        return LocalEngine(workers)
    if engine == "ray":
        return RayEngine(workers, address)
    raise InputError(f"There is no engine {engine!r}; choose one of {', '.join(ENGINES)}.")
