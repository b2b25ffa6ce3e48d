"""Workers on a Ray cluster: a process on each core or GPU that Ray lends."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import create_connection
from types import TracebackType
from typing import Any, Self

from modalens.engine.workers import Engine, WorkerDiedError, compute_on_one_core, outcome
from modalens.errors import InputError, MissingPackageError
from modalens.redaction import redact_what_is_logged

logger = logging.getLogger(__name__)

# Seconds after which an address without a cluster is given up.
_PATIENCE = 10


class RayEngine(Engine):
    """Workers that are actors of Ray, each with a GPU if the cluster has some, else with one core.

    What they need (models, stores, images in files) must be found under the same names on every machine.

    Parameters
    ----------
    workers
        Actors at work side by side; no more are started than the cluster has GPUs or cores for.
    address
        Of a running cluster, as ``ray.init`` takes it; by default the one that ``RAY_ADDRESS`` names, else one that
        is started on this machine for the time the engine is open. A program that has already joined a cluster
        stays in it.

    Raises
    ------
    ModalensError
        If Ray is not installed, no cluster answers, or ``workers`` is less than 1.
    """

    def __init__(self, workers: int = 1, address: str | None = None) -> None:
        super().__init__(workers)
        # Nothing leaves this machine unasked.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise MissingPackageError.of("The engine ray", "ray", "ray") from error
        self._ray = ray
        self._address = address
        self._joined = False

    def __enter__(self) -> Self:
        ray = self._ray
        if not ray.is_initialized():
            self._join()
        resources = ray.cluster_resources()
        self._gpus = 1 if resources.get("GPU", 0) >= 1 else 0
        room = int(resources.get("GPU" if self._gpus else "CPU", 0))
        if room < self.workers:
            what = "GPUs" if self._gpus else "cores"
            logger.warning("The cluster has %d %s, so %d workers are started", room, what, max(room, 1))
            self.workers = max(room, 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._joined:
            self._ray.shutdown()

    def _join(self) -> None:
        address = self._address or os.environ.get("RAY_ADDRESS")
        own: dict[str, Any] = {}
        if not address:
            own = {"num_cpus": self.workers, "include_dashboard": False}
            # Else everything on the machine would go before the workers.
            own["_system_config"] = {"worker_niceness": 0}
        try:
            if address:
                _check_reachable(address)
            self._ray.init(address, configure_logging=False, log_to_driver=False, **own)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).split("\n")[0].rstrip(".")
            raise InputError(
                f"No Ray cluster answers at {address or 'this machine'} ({reason}); start one with ray start --head, "
                "or leave the address out."
            ) from error
        self._joined = True

    def start_worker(self) -> "_Actor":
        """Start an actor."""
        return _Actor(self._ray, self._gpus)

    def wait(self, workers: Sequence["_Actor"]) -> Sequence["_Actor"]:
        """Those with an outcome, or dead."""
        of_reference = {worker.reference: worker for worker in workers}
        ready, _ = self._ray.wait(list(of_reference), num_returns=1)
        return [of_reference[reference] for reference in ready]


def _check_reachable(address: str) -> None:
    """Raise an OSError if nobody listens at HOST:PORT; Ray itself would try for minutes and then abort."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        with create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE):
            pass


class _Serving:
    """What an actor is on its own machine."""

    def __init__(self, folder: Path) -> None:
        redact_what_is_logged()
        compute_on_one_core()
        if folder.is_dir():  # names of files that are relative mean the same here
            os.chdir(folder)

    def do(self, task: Callable[[Any], Any], item: Any) -> Any:
        return outcome(task, item)


class _Actor:
    """A worker on the cluster."""

    def __init__(self, ray: Any, gpus: int) -> None:
        self._ray = ray
        # A death is the engine's to notice, which tries the piece again with another actor.
        self._actor = (
            ray.remote(_Serving).options(num_cpus=1, num_gpus=gpus, max_restarts=0).remote(Path.cwd())
        )
        self.reference: Any = None

    def submit(self, task: Callable[[Any], Any], item: Any) -> None:
        self.reference = self._actor.do.remote(task, item)

    def outcome(self) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(self.reference)
        except (
            errors.RayActorError,
            errors.WorkerCrashedError,
            errors.ObjectLostError,
            errors.OutOfMemoryError,
        ) as error:
            raise WorkerDiedError(type(error).__name__) from error

    def stop(self) -> None:
        self._ray.kill(self._actor)
