"""When training ends: its signs of convergence, its signs of trouble, and the signal to stop."""

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from modalens.errors import ModalensError

# On a GPU, reading a loss stops the flow of work, so many are read at a time.
_READ_EVERY = {"cpu": 1}
_READ_EVERY_ELSEWHERE = 50
# Seconds in which a second Ctrl-C is taken for the first one.
_PATIENCE = 2.0


def settled(counts: Sequence[tuple[int, int]], patience: int, tolerance: float) -> bool:
    """Whether the active features of images and of texts have stopped changing (the papers' stop rule).

    Parameters
    ----------
    counts
        (active for images, active for texts) at each interval so far.
    patience
        Intervals over which neither may move.
    tolerance
        Share of the larger count that does not count as moving.
    """
    if len(counts) <= patience:
        return False
    recent = np.array(counts[-patience - 1 :], dtype=np.float64)
    moved = recent.max(axis=0) - recent.min(axis=0)
    return bool((moved <= tolerance * np.maximum(recent.max(axis=0), 1)).all())


class LossWatch:
    """Raises when a loss or the norm of a gradient is no longer finite, naming the batch.

    Parameters
    ----------
    device
        Where losses come from.
    kept
        What is said to be kept.
    """

    def __init__(self, device: torch.device, kept: str) -> None:
        self._read_every = _READ_EVERY.get(device.type, _READ_EVERY_ELSEWHERE)
        self._kept = kept
        self._unread: list[tuple[int, int, Tensor]] = []

    def see(self, step: int, number: int, loss: Tensor, gradient_norm: Tensor) -> None:
        """Take the loss and the gradient's norm of learner ``number`` at a step."""
        self._unread.append((step, number, torch.stack([loss.detach(), gradient_norm])))
        if len(self._unread) >= self._read_every:
            self.check()

    def check(self) -> None:
        """Read what has not been read; to be called before anything is kept.

        Raises
        ------
        ModalensError
            If a value is NaN or infinite.
        """
        if not self._unread:
            return
        values = torch.stack([pair for _, _, pair in self._unread]).tolist()
        for (step, number, _), (loss, norm) in zip(self._unread, values, strict=True):
            if not math.isfinite(loss) or not math.isfinite(norm):
                what = f"loss of configuration {number} is {loss}"
                if math.isfinite(loss):
                    what = f"gradient of configuration {number} has norm {norm}"
                raise ModalensError(
                    f"The {what} at batch {step}; {self._kept}, so lower the learning rate or look for "
                    "extreme values in the pairs."
                )
        self._unread.clear()


class Termination:
    """Whether the process was asked to stop, and how."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._heard = 0.0

    def hear(self, number: int, frame: object = None) -> None:
        """Take a signal; Ctrl-C again, seconds after the first, interrupts at once.

        Not sooner: torchrun hands on the one that the terminal has already sent.
        """
        del frame
        if self._signal is None:
            self._signal, self._heard = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._heard > _PATIENCE:
            raise KeyboardInterrupt

    def is_set(self) -> bool:
        """Whether a signal came."""
        return self._signal is not None

    @property
    def name(self) -> str:
        """The signal as people call it; of another process of the same training where none came here."""
        if self._signal is None:
            return "another process"
        return "Ctrl-C" if self._signal == signal.SIGINT else "SIGTERM"

    def end(self) -> NoReturn:
        """End the process as the signal would have."""
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signal.SIGTERM)


@contextmanager
def termination() -> Iterator[Termination]:
    """Hear SIGTERM and SIGINT (Ctrl-C) inside the block, so that training can save itself first."""
    stopped = Termination()
    if threading.current_thread() is not threading.main_thread():  # Python lets only this one listen
        yield stopped
        return
    before = {number: signal.signal(number, stopped.hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
