"""Run one task over many pieces of work: in this process, or in several that may die."""

import logging
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from threadpoolctl import threadpool_limits

from modalens.engine.parents import end_with_parent
from modalens.errors import InputError, ModalensError, is_of_gpu, is_out_of_memory, system_sentence
from modalens.redaction import redact_what_is_logged, redacted_trace

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

# A piece that costs its worker the life so often does so for a reason, and would for ever.
TRIES = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class WorkerDiedError(Exception):
    """A worker is gone, and what it was working on with it."""


class Worker(Protocol):
    """Someone who does one piece of work at a time, elsewhere."""

    def submit(self, task: Callable[[Any], Any], item: Any) -> None:
        """Hand over a piece; a worker that is dead says so when asked for the outcome."""
        ...

    def outcome(self) -> Any:
        """The outcome of the piece, once it is there; raises :class:`WorkerDiedError`."""
        ...

    def stop(self) -> None:
        """End the worker at once, whatever it is at."""
        ...


@dataclass
class _Job:
    index: int
    item: Any
    tries: int = 0


@dataclass(frozen=True)
class _Exhausted:
    """Memory that ran out in a worker."""

    of_gpu: bool


@dataclass(frozen=True)
class _Refusal:
    """An error of the user's, met by a worker: one sentence."""

    sentence: str


@dataclass(frozen=True)
class _Fault:
    """Any other error a worker met."""

    trace: str


class Engine(ABC):
    """Maps a task over pieces of work; a context manager, at whose end its workers are stopped.

    Parameters
    ----------
    workers
        How many pieces are worked on at a time.

    Attributes
    ----------
    retried : list of str
        Names of the pieces that were begun again because their worker died.

    Raises
    ------
    ModalensError
        If ``workers`` is less than 1.
    """

    in_process = False
    """Whether tasks run in this very process, and may hold what cannot be sent elsewhere."""

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise InputError(f"workers is {workers}; it must be at least 1.")
        self.workers = workers
        self.retried: list[str] = []
        self._idle: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            self._idle.pop().stop()

    @abstractmethod
    def start_worker(self) -> Any:
        """Start a worker."""

    @abstractmethod
    def wait(self, workers: Sequence[Any]) -> Sequence[Any]:
        """Those of the busy workers who have an outcome or are dead; at least one."""

    def map(
        self, task: Callable[[Item], Result], items: Iterable[Item], name: Callable[[Item], str]
    ) -> Iterator[tuple[Item, Result]]:
        """Do the task on every item and give (item, result) in the order of the items.

        Items are drawn as they are needed, and at most twice as many as there are workers are held. What a
        dead worker was at is given to another one, a few times at most.

        Parameters
        ----------
        task
            A function of one item, free of side effects: it may run twice. It is sent to the workers.
        items
            What can be sent to workers, too.
        name
            What an item is called in messages.

        Raises
        ------
        ModalensError
            If the task raises one, or a piece costs its worker the life again and again.
        """
        upcoming = (_Job(index, item) for index, item in enumerate(items))
        lost: deque[_Job] = deque()
        busy: dict[Any, _Job] = {}
        done: dict[int, tuple[Item, Result]] = {}
        turn = 0
        try:
            while True:
                while len(busy) < self.workers:
                    room = len(busy) + len(done) < 2 * self.workers
                    job = lost.popleft() if lost else next(upcoming, None) if room else None
                    if job is None:
                        break
                    worker = self._idle.pop() if self._idle else self.start_worker()
                    busy[worker] = job
                    job.tries += 1
                    worker.submit(task, job.item)
                if not busy:
                    return
                for worker in self.wait(list(busy)):
                    job = busy.pop(worker)
                    try:
                        done[job.index] = job.item, _result(worker.outcome())
                    except WorkerDiedError as death:
                        worker.stop()
                        self._note(job, name(job.item), death)
                        lost.append(job)
                    else:
                        self._idle.append(worker)
                while turn in done:
                    yield done.pop(turn)
                    turn += 1
        finally:
            for worker in busy:
                worker.stop()

    def _note(self, job: _Job, name: str, death: WorkerDiedError) -> None:
        if job.tries == TRIES:
            raise InputError(
                f"Each of the {TRIES} workers that tried {name} died ({death}); give a worker more memory or less to "
                "do at a time, and see that a script that starts workers has a main guard."
            ) from death
        self.retried.append(name)
        logger.warning("The worker on %s died (%s); another one begins it again", name, death)


class LocalEngine(Engine):
    """Workers on this machine: this process if there is one of them, else as many fresh ones.

    Each process computes on one core, so that results are the same bits however many there are.
    """

    def __init__(self, workers: int = 1) -> None:
        super().__init__(workers)
        self.in_process = workers == 1

    def start_worker(self) -> "_Process":
        """Start a process."""
        return _Process()

    def wait(self, workers: Sequence["_Process"]) -> Sequence["_Process"]:
        """Those with an outcome, or dead."""
        of_pipe = {worker.pipe: worker for worker in workers}
        ready = connection.wait(list(of_pipe))
        return [worker for pipe, worker in of_pipe.items() if pipe in ready]

    def map(
        self, task: Callable[[Item], Result], items: Iterable[Item], name: Callable[[Item], str]
    ) -> Iterator[tuple[Item, Result]]:
        """See :meth:`Engine.map`."""
        if not self.in_process:
            yield from super().map(task, items, name)
            return
        for item in items:
            yield item, task(item)


class _Process:
    """A process that was started afresh: a fork would inherit the threads of PyTorch in an unknown state."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def submit(self, task: Callable[[Any], Any], item: Any) -> None:
        try:
            self.pipe.send((task, item))
        except (BrokenPipeError, ConnectionResetError):
            return  # the outcome will tell

    def outcome(self) -> Any:
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            self._process.join()
            code = self._process.exitcode or 0
            raise WorkerDiedError(f"signal {-code}" if code < 0 else f"exit code {code}") from error

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _serve(pipe: Any) -> None:
    """The life of a worker process: it ends with the pipe, and in the middle of work with its parent."""
    end_with_parent()
    redact_what_is_logged()
    compute_on_one_core()
    while True:
        try:
            task, item = pipe.recv()
            pipe.send(outcome(task, item))
        except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            return


def compute_on_one_core() -> None:
    """Keep this process to one thread of computation, in libraries that are loaded and that will be."""
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    threadpool_limits(1)


def outcome(task: Callable[[Any], Any], item: Any) -> Any:
    """The result of a task, or what went wrong, fit to be sent."""
    try:
        return task(item)
    except ModalensError as error:
        return _Refusal(str(error))
    except Exception as error:
        if is_out_of_memory(error):
            return _Exhausted(is_of_gpu(error))
        sentence = system_sentence(error)
        return _Fault(redacted_trace(error)) if sentence is None else _Refusal(sentence)


def _result(found: Any) -> Any:
    if isinstance(found, _Exhausted):
        raise RuntimeError("out of memory in a worker") if found.of_gpu else MemoryError("in a worker")
    if isinstance(found, _Refusal):
        raise InputError(found.sentence)
    if isinstance(found, _Fault):
        raise RuntimeError(f"A worker failed:\n{found.trace}")
    return found
