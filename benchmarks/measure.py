"""How benchmarks measure: time, and growth of memory, of one piece of work; and lines that say so."""

import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")
_PAGE = resource.getpagesize()


class Cost(NamedTuple):
    """Wall time and CPU time of all threads in seconds, and growth of resident memory in GiB."""

    wall: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.wall:8.2f} s   {self.cpu:8.2f} s of CPU   memory +{self.memory:.2f} GiB"


def measured(work: Callable[[], Result]) -> tuple[Result, Cost]:
    """What the work gives, and what it cost. Call it once before on little data, so that its loops are compiled."""
    with PeakMemory() as memory:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return result, Cost(wall, cpu, memory.growth)


class PeakMemory:
    """Largest growth of resident memory, in GiB, while the block runs."""

    def __enter__(self) -> "PeakMemory":
        self.growth, self._before, self._done = 0.0, self._resident(), threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.growth = max(self.growth, self._resident() - self._before)

    def _resident(self) -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**30
