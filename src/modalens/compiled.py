"""How loops over numbers are compiled and spread over cores: Numba, without its own threads."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.extending import overload
from threadpoolctl import ThreadpoolController

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_HALF_LIMIT = 65536.0  # above every finite number of half precision


def compiled(function: F) -> F:
    """Compile a function of arrays and numbers at its first call, and keep the code on disk for later processes.

    It runs without the interpreter's lock, so that :func:`on_cores` can run several calls side by side. Division by
    zero gives infinity or NaN, as in NumPy.
    """
    return _compiled(function)


def compiled_in_any_order(function: F) -> F:
    """Compile as :func:`compiled` does, but let sums be taken in whatever order is fastest on this processor.

    The order is the same at every call, so results still depend neither on threads nor on blocks.
    """
    return _compiled(function, fastmath={"reassoc", "contract"})


def _compiled(function: F, **options: Any) -> F:
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder where the code could be kept
        made = numba.njit(**options)(function)
    return cast(F, made)


def cores() -> int:
    """Number of cores to use: OMP_NUM_THREADS where it is set, else those of this process."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_cores(work: Callable[..., Any], pieces: Iterable[tuple]) -> list[Any]:
    """What ``work`` gives for each piece of its arguments, in order, several at a time.

    Pieces must not write to the same place, nor call this; results then depend neither on the number of cores nor on
    which piece ends first.
    """
    pieces = list(pieces)
    if len(pieces) < 2 or cores() < 2:
        return [work(*piece) for piece in pieces]
    return list(_pool(cores(), os.getpid()).map(lambda piece: work(*piece), pieces))


def read_ahead(read: Callable[..., T], pieces: Iterable[tuple]) -> Iterator[T]:
    """What ``read`` gives for each piece of its arguments, in order; the next is read while the caller is at one."""
    reader = ThreadPoolExecutor(1, thread_name_prefix="modalens-reader")
    try:
        ahead = deque[Future[T]]()
        for piece in pieces:
            ahead.append(reader.submit(read, *piece))
            if len(ahead) > 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        reader.shutdown(cancel_futures=True)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within it a product of matrices runs on one core: where several run side by side, or many are small."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limited


def numbers(block: np.ndarray) -> np.ndarray:
    """An array in what compiled code knows: half precision as its bits, which :func:`number` reads."""
    return block.view(np.uint16) if block.dtype == np.float16 else block


def number(value: Any) -> float:
    """A value as float64, from the bits where it is in half precision; NaN where those are of no finite number."""
    raise NotImplementedError(value)  # compiled code has its own, below


@overload(number)
def _compiled_number(value: Any) -> Any:
    if value == types.uint16:

        def number(value: Any) -> float:
            # The bits of exponent and fraction, moved to where single precision has them: off by 2**112 exactly.
            bits = np.uint32((np.uint32(value) & np.uint32(0x7FFF)) << np.uint32(13))
            size = np.float64(bits.view(np.float32)) * 2.0**112
            finite = size if size < _HALF_LIMIT else np.nan
            return -finite if value > 0x7FFF else finite

    else:

        def number(value: Any) -> float:
            return np.float64(value)

    return number


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looking for the libraries takes a tenth of a second


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    del process  # a forked process has none of its parent's threads
    return ThreadPoolExecutor(threads, thread_name_prefix="modalens")
