"""Keep transformers and its kin from talking to the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def quiet(package: str = "transformers") -> Iterator[None]:
    """Keep bars and load reports off the terminal; what matters in them is checked by the caller."""
    log: Any = import_module(f"{package}.utils.logging")
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()
