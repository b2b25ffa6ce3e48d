"""Progress of long work: a bar on a terminal, a line in the log elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show the progress of one piece of work.

    Parameters
    ----------
    description
        What is being done, as a person would say it.
    total
        Number of steps, or None when nobody knows.

    Yields
    ------
    advance
        To be called with the number of steps just done.
    """
    started = time.monotonic()
    done = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(description, total=total)

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            bar.advance(task, steps)

        yield advance
    logger.info("%s: %d done in %.1f s", description, done, time.monotonic() - started)
