"""Where and how towers compute: devices, precision, cores."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from modalens.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def pick_device(name: str | None) -> torch.device:
    """Device by its PyTorch name; without one, the GPU if there is one, else the CPU.

    Raises
    ------
    ModalensError
        If PyTorch knows no such device or it is not on this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"The device {name!r} is not available on this machine; take 'cpu', or leave the device out."
        ) from error
    return device


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Keep a GPU from rounding the products of convolutions to ten bits, as it does unless told."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def map_batches(
    function: Callable[[Item], Result], batches: Sequence[Item], device: torch.device
) -> list[Result]:
    """Apply a function to each batch; on the CPU, in as many threads as PyTorch uses, each on one core.

    The usual way round, one batch at a time with its operations split over the cores, is about as fast
    on an idle machine. But there the cores wait for each other at the end of every operation, and when
    another process takes one of them an image tower was measured at 273 ms an image instead of 23.
    """
    if device.type != "cpu":
        return [function(batch) for batch in batches]
    with (
        _kept_threads() as threads,
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        return list(pool.map(function, batches))


@contextmanager
def on_one_core() -> Iterator[None]:
    """Compute on one core inside the block, which gives the same bits however many there are."""
    with _kept_threads():
        torch.set_num_threads(1)
        yield


@contextmanager
def _kept_threads() -> Iterator[int]:
    threads = torch.get_num_threads()
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)  # part of the setting is shared by all threads
