"""What a piece of work costs: time, processor time, and growth of memory."""

import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")
_STATUS = Path("/proc/self/status")
_EVERY = 0.01


class Cost(NamedTuple):
    """Wall time and processor time of all threads and child processes in seconds, and growth of memory in GiB.

    On a GPU, memory is the GPU's. It is NaN where the system does not tell.
    """

    seconds: float
    cpu: float
    gib: float

    def least(self, other: "Cost") -> "Cost":
        """The shorter times of two runs of one work, and the larger memory."""
        return Cost(min(self.seconds, other.seconds), min(self.cpu, other.cpu), max(self.gib, other.gib))

    def times(self, factor: float) -> "Cost":
        """What so many times the work would take, in the same memory."""
        return Cost(self.seconds * factor, self.cpu * factor, self.gib)


def measured(work: Callable[[], Result], device: str = "cpu") -> tuple[Result, Cost]:
    """What the work gives, and what it cost. Call it once before on little data, so that its loops are compiled."""
    _give_back()
    with _PeakMemory(device) as memory:
        _finish(device)
        seconds, cpu = time.perf_counter(), _processor()
        result = work()
        _finish(device)
        seconds, cpu = time.perf_counter() - seconds, _processor() - cpu
    return result, Cost(seconds, cpu, memory.growth)


def _processor() -> float:
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def _finish(device: str) -> None:
    """Wait for what a GPU still computes."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def _give_back() -> None:
    """Return freed memory to the system; work that found it at hand would seem to take none."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


class _PeakMemory:
    """Largest growth in GiB, while the block runs, of what the process holds for itself.

    Pages of files that the system keeps for it do not count.
    """

    def __init__(self, device: str) -> None:
        self._device = device

    def __enter__(self) -> "_PeakMemory":
        self.growth, self._before, self._done = 0.0, self._held(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        if self._device == "cpu":
            self._watcher.start()
        else:
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
        return self

    def __exit__(self, *failure: object) -> None:
        if self._device == "cpu":
            self._done.set()
            self._watcher.join()
            self.growth = max(self.growth, self._held() - self._before)
            return
        import torch

        self.growth = torch.cuda.max_memory_allocated(self._device) / 2**30 - self._before

    def _watch(self) -> None:
        while not self._done.wait(_EVERY):
            self.growth = max(self.growth, self._held() - self._before)

    def _held(self) -> float:
        if self._device != "cpu":
            import torch

            return torch.cuda.memory_allocated(self._device) / 2**30
        try:
            lines = _STATUS.read_text().splitlines()
        except OSError:
            return float("nan")
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 2**20
