"""The exceptions users meet, by kind; each holds one sentence that says what to do."""

import errno
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from modalens.redaction import redacted

_LONGEST = 2_000  # letters of a sentence


def one_line(text: object) -> str:
    """Other people's words on one line: nothing in them ends it, moves a cursor or sets a terminal's title."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def _readable(sentence: str) -> str:
    sentence = one_line(sentence)
    half = _LONGEST // 2
    return sentence if len(sentence) <= _LONGEST else f"{sentence[:half]} [...] {sentence[-half:]}"


class ModalensError(ValueError):
    """Base of all errors that a user can do something about.

    The command line prints the sentence and exits with code 2. Keys and what may be secret of a URL are left out of it,
    line breaks and control characters of names that it quotes, and the middle of what no one reads to the end, such as
    a file's name for a column of thousands of letters.
    """

    def __init__(self, *said: object) -> None:
        super().__init__(*(_readable(redacted(each)) if isinstance(each, str) else each for each in said))


class InputError(ModalensError):
    """An option, a name, a file or data of the user's that cannot be used as it is."""


class StoreError(ModalensError):
    """A file that modalens wrote is missing a part, damaged, or of a schema that this version does not read."""


class BusyError(StoreError):
    """Another process is writing to the folder; wait for it to end."""


class MissingPackageError(ModalensError):
    """A package that is needed here is not installed.

    Attributes
    ----------
    extra
        The extra of modalens that brings it; empty if none does.
    """

    extra: str = ""

    @classmethod
    def of(cls, what: str, package: str, extra: str) -> Self:
        """The error for what needs a package, which ``pip install 'modalens[EXTRA]'`` brings.

        Parameters
        ----------
        what
            What needs it, as the sentence's subject in the singular, such as "The engine ray".
        package
            The package's name.
        extra
            The extra of modalens that has it.
        """
        error = cls(f"{what} needs the package {package}; install it with pip install 'modalens[{extra}]'.")
        error.extra = extra
        return error


# How libraries say it that have no kind of error for it.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python's, NumPy's, Arrow's or PyTorch's, says that memory ran out, here or on a GPU."""
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    return isinstance(error, MemoryError) or named or told


def is_of_gpu(error: BaseException) -> bool:
    """Whether memory that ran out was a GPU's."""
    return not isinstance(error, MemoryError) and "allocate memory" not in str(error)


def out_of_memory_sentence(
    error: BaseException,
    lower: Sequence[str] = ("--batch-size", "--workers"),
    on_cpu: str = "take --device cpu",
) -> str:
    """What to do about memory that ran out.

    Parameters
    ----------
    error
        One of those that :func:`is_out_of_memory` knows.
    lower
        Options to lower, those of most effect first.
    on_cpu
        How to leave the GPU.
    """
    first = f"lower {' or '.join(lower)}, " if lower else ""
    kept = "What was finished is kept, run the same command again to go on."
    if is_of_gpu(error):
        return (
            f"The memory of the GPU ran out; {first}leave the GPU to this process alone, or {on_cpu}. {kept}"
        )
    return f"Memory ran out; {first}take fewer pairs or features, or a machine with more. {kept}"


# The system's numbers for a full disk, and whether a limit on the size of a file may be meant.
_NO_SPACE = {errno.ENOSPC: False, errno.EDQUOT: False, errno.EFBIG: True}
# NumPy says how much of an array it could write, and no number.
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")


def full_disk_sentence(error: BaseException, path: Path | str | None = None) -> str | None:
    """What to do about a disk that takes no more, full or not to hold so large a file; None for any other error.

    Parameters
    ----------
    error
        The error, of Python's, NumPy's, Arrow's or safetensors'.
    path
        The file that was being written; what the error names by default.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:  # safetensors hands on what the system said as text alone
        number = next((number for number in _NO_SPACE if f"(os error {number})" in str(error)), None)
    short = isinstance(error, OSError) and number is None and _SHORT_WRITE.search(str(error))
    if number not in _NO_SPACE and not short:
        return None
    path = path or getattr(error, "filename", None)
    what = (
        "The disk is full"
        if not short and not _NO_SPACE[number or 0]
        else "The disk is full or takes no larger file"
    )
    where = f" while writing {path}" if path else ""
    return f"{what}{where}; what was finished is kept, so free some space and run again."


def system_sentence(error: BaseException) -> str | None:
    """What the system refused, as a sentence: memory, space on a disk, a file; None for any other error."""
    if is_out_of_memory(error):
        return out_of_memory_sentence(error)
    if (full := full_disk_sentence(error)) is not None:
        return full
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{where}."
    return None
