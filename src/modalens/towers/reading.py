"""Read a model's files, and say in one sentence what is wrong with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modalens.errors import InputError, ModalensError


@contextmanager
def readable(name: str, part: str) -> Iterator[None]:
    """Turn whatever a damaged file makes a model library raise into one sentence.

    Parameters
    ----------
    name, part
        The model, and the part of it that is being read, as the sentence calls them.

    Raises
    ------
    ModalensError
        In place of anything raised in the block.
    """
    try:
        yield
    except ModalensError:
        raise
    except ImportError as error:
        raise InputError(
            f"The {part} of {name} needs a package that is missing, install it with pip: {_one_line(error)}"
        ) from error
    except Exception as error:
        raise InputError(f"The {part} of {name} cannot be read ({_one_line(error)}).") from error


def weight_files(name: str, folder: Path) -> list[Path]:
    """Files of the weights: safetensors, or else the older format, which is read without pickled code.

    Raises
    ------
    ModalensError
        If there are none.
    """
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise InputError(f"{name} has no weights: neither model.safetensors nor pytorch_model.bin is there.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
