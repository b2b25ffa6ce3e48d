"""Decode samples in threads ahead of their use, within a budget of memory."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from math import inf
from threading import Condition
from typing import Any, TypeVar

from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs.audio import Audio
from modalens.pairs.base import ImageRef

Name = TypeVar("Name")

BATCH_BYTES = 2**28
"""Decoded samples of one batch; the same on every machine, since a batch's size can move the last bits."""
WAITING_BYTES = 2**29
"""Decoded samples that wait for their batch; each thread may exceed it by one sample."""
_THREADS = 4


def decode_ahead(
    items: Iterable[tuple[Name, ImageRef | str]], ahead: int
) -> Generator[tuple[Name, Any, str | None]]:
    """Decode samples in threads, in order; a text stands for itself.

    Parameters
    ----------
    items
        Names and what is to be decoded.
    ahead
        Samples that are decoded in advance, fewer where they are large.

    Yields
    ------
    name, sample, reason
        The decoded sample and None, or None and why it cannot be decoded.
    """
    changed = Condition()
    held, due = 0, -1.0  # bytes that wait, and the number of the sample that is asked for

    def decode(number: int, ref: ImageRef | str) -> Any:
        nonlocal held
        with changed:
            changed.wait_for(lambda: held < WAITING_BYTES or number <= due)
        sample = ref if isinstance(ref, str) else ref.load()
        with changed:
            held += size_of(sample)
        return sample

    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: dict[int, tuple[Name, Future[Any]]] = {}
        upcoming = enumerate(items)
        try:
            while True:
                for number, (name, ref) in islice(upcoming, ahead - len(waiting)):
                    waiting[number] = name, pool.submit(decode, number, ref)
                if not waiting:
                    return
                first = next(iter(waiting))
                with changed:
                    due = first
                    changed.notify_all()
                name, future = waiting.pop(first)
                try:
                    sample = future.result()
                except ModalensError as error:
                    yield name, None, str(error)
                    continue
                with changed:
                    held -= size_of(sample)
                    changed.notify_all()
                yield name, sample, None
                del sample, future
        finally:
            with changed:
                due = inf  # no thread waits on
                changed.notify_all()
            pool.shutdown(cancel_futures=True)


def batches(items: Iterable[tuple[Name, Any]], most: int) -> Iterator[dict[Name, Any]]:
    """Samples by name, at most so many at a time and, one by one if need be, within :data:`BATCH_BYTES`."""
    batch: dict[Name, Any] = {}
    size = 0
    for name, sample in items:
        more = size_of(sample)
        if batch and size + more > BATCH_BYTES:
            yield batch
            batch, size = {}, 0
        batch[name] = sample
        size += more
        del sample
        if len(batch) == most:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch


def size_of(sample: Any) -> int:
    """Bytes that a decoded sample holds, about."""
    if isinstance(sample, Image.Image):
        return 4 * sample.width * sample.height
    return sample.samples.nbytes if isinstance(sample, Audio) else 0
