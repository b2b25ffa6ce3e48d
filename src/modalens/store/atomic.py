"""Files that appear whole or not at all."""

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from modalens.errors import ModalensError

PARTIAL_SUFFIX = ".partial"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when it is whole.

    Yields
    ------
    Path
        Where to write; it becomes ``path`` if the block ends well and vanishes if not.

    Raises
    ------
    ModalensError
        If the disk is full.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        if _is_full_disk(error):
            raise ModalensError(
                f"The disk is full while writing {path}; what was finished is kept, so free some space and run again."
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def _is_full_disk(error: Exception) -> bool:
    if isinstance(error, OSError):
        # NumPy says how much of an array it could write, and no number.
        short = error.errno is None and re.search(r"\d+ requested and \d+ written", str(error))
        return bool(short) or error.errno in (errno.ENOSPC, errno.EDQUOT)
    # safetensors hands on what the system said as text alone.
    return any(f"(os error {number})" in str(error) for number in (errno.ENOSPC, errno.EDQUOT))


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, whole or not at all, its lines as they are."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, values: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
