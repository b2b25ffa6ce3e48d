"""Progress of long work: a bar on a terminal or in a notebook, a line a minute in the log elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)

# Seconds between two lines of the log, and seconds that work must take to be worth one.
_LOG_EVERY = 60.0
_WORTH_TELLING = 1.0


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show the progress of one piece of work; of work that took under a second nothing is left to see.

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
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    notebook = _in_notebook()
    shown = notebook or sys.stderr.isatty()
    console = Console(stderr=True, force_jupyter=True if notebook else None)
    started = told = time.monotonic()
    with Progress(*columns, console=console, disable=not shown) as bar:
        task = bar.add_task(description, total=total)

        def advance(steps: int) -> None:
            nonlocal told
            bar.advance(task, steps)  # several threads may call this
            if not shown and time.monotonic() - told >= _LOG_EVERY:
                told = time.monotonic()
                done = int(bar.tasks[0].completed)
                of = f"{done}" if total is None else f"{done} of {total}"
                logger.info("%s: %s after %.0f s", description, of, told - started)

        yield advance
        bar.live.transient = time.monotonic() - started < _WORTH_TELLING
    took = time.monotonic() - started
    if took >= _WORTH_TELLING:
        logger.info("%s: %d done in %.1f s", description, bar.tasks[0].completed, took)


def _in_notebook() -> bool:
    """Whether this runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"
