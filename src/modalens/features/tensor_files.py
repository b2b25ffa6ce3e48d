"""The reader of safetensors files."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from modalens.errors import StoreError
from modalens.files import open_file

# What a damaged header, a number type that torch lacks, or a file cut short is told by.
_DAMAGE = (
    SafetensorError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    MemoryError,
)


def read_safetensors(path: Path, subject: str, mend: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file by name, and the texts of its header.

    Parameters
    ----------
    path
        The file.
    subject
        What the error's sentence begins with, the file's name included.
    mend
        What to do about a damaged file.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    open_file(path, subject, error=StoreError).close()
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.offset_keys()}, file.metadata() or {}
    except _DAMAGE as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise StoreError(f"{subject} cannot be read ({said}); {mend}.") from error
