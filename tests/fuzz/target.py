"""What a reader tells the fuzzer of itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

Mutator = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Target:
    """A reader, with good files for it.

    Attributes
    ----------
    make
        Writes good files into an empty folder, the same whenever it is called.
    read
        Reads the folder; gives a result or raises a ModalensError, or an AssertionError if the result is impossible.
    files
        Pattern of the files that are changed, below the folder.
    mutators
        Changes that fit this kind of file, beside those for any bytes.
    checked
        Whether a checksum guards the files: then a read that succeeds must give what the good files give.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    files: str = "**/*"
    mutators: Sequence[Mutator] = ()
    checked: bool = False
