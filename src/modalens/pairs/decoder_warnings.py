"""Keep what decoders warn of off the terminal: what matters is raised as an error."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

_lock = Lock()
_inside = 0
_filters = ExitStack()


@contextmanager
def no_decoder_warnings() -> Iterator[None]:
    """Silence Pillow's warnings (odd EXIF, large pictures) in the block.

    ``warnings.catch_warnings`` is not made for several threads, which all put the filters back that they found: here
    the first thread to enter sets the filters, and the last to leave puts back what was there.
    """
    global _inside
    with _lock:
        if not _inside:
            _filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _filters.close()
