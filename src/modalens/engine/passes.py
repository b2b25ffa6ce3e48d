"""Call a model on batches from several threads, and measure how long it waits for its data."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")

# While one thread's batch is on the GPU, the other's is resized.
_GPU_THREADS = 2


@dataclass
class Seconds:
    """Time that a model's threads spent waiting for data, and computing."""

    waiting: float = 0.0
    computing: float = 0.0

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.waiting + other.waiting, self.computing + other.computing)

    @property
    def share_waiting(self) -> float | None:
        """Share of the time spent waiting, in [0, 1], low is good; None if no time was spent."""
        total = self.waiting + self.computing
        return self.waiting / total if total else None


def map_passes(
    model: Callable[[Batch], Result],
    batches: Iterator[Batch],
    seconds: Seconds,
    device: "torch.device",
    done: Callable[[Batch], None] | None = None,
) -> list[Result]:
    """Call a model on every batch, each call on one core, as many at a time as PyTorch would use.

    One core a batch gives the same bits on every number of cores, and the cores never wait for each other.

    Parameters
    ----------
    model
        May be called from several threads.
    batches
        Drawn as they are needed, by one thread at a time; what it takes to draw one is waiting.
    seconds
        Where the time is added.
    device
        Where the model computes: on an accelerator, two threads take turns.
    done
        Called with each batch that is done, by one thread at a time.

    Returns
    -------
    list
        Results in order. Batches are let go: decoded pictures are large.
    """
    import torch

    from modalens.towers.compute import full_precision, on_one_core

    numbered = enumerate(batches)
    found: dict[int, Result] = {}
    drawing, finishing = Lock(), Lock()
    failed = False

    def work() -> None:
        nonlocal failed
        torch.set_num_threads(1)
        try:
            while not failed:
                start = perf_counter()
                with drawing:
                    number, batch = next(numbered, (-1, None))
                drawn = perf_counter()
                if batch is None:
                    return
                result = model(batch)
                with finishing:
                    seconds.waiting += drawn - start
                    seconds.computing += perf_counter() - drawn
                    found[number] = result
                    if done is not None:
                        done(batch)
                del batch, result
        except BaseException:
            failed = True
            raise

    with ExitStack() as stack:
        threads = torch.get_num_threads()
        if device.type != "cpu":
            threads = _GPU_THREADS
            # Else the first thread to end a pass would let the other's products be rounded.
            stack.enter_context(full_precision(device))
        stack.enter_context(on_one_core())
        with ThreadPoolExecutor(threads) as pool:
            workers = [pool.submit(work) for _ in range(threads)]
        for worker in workers:
            worker.result()
    return [found[number] for number in range(len(found))]
