"""The one reader of NumPy's files: memory maps of .npy, arrays of .npz; nothing is ever unpickled."""

import warnings
import zlib
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np

from modalens.errors import ModalensError, StoreError

# What NumPy raises for a damaged header or a file cut short.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    SyntaxError,
    TokenError,
    OverflowError,
    MemoryError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    BadZipFile,
    zlib.error,
)


def open_npy(path: Path, dimensions: int, kinds: str, mend: str) -> np.ndarray:
    """Memory-map a .npy file for reading.

    Parameters
    ----------
    path
        The file.
    dimensions
        How many the array must have.
    kinds
        Kinds of numbers that it may hold, as ``np.dtype.kind`` calls them, such as ``f`` or ``iu``.
    mend
        What to do if it cannot be read, such as ``embed again``.

    Raises
    ------
    StoreError
        If the file is missing, damaged or cut short, or holds another array.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that Python 2 wrote the file
            array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise StoreError(f"There is no file {path}; {mend}.") from error
    except _DAMAGE as error:
        raise StoreError(f"The array {path} cannot be read ({_one_line(error)}); {mend}.") from error
    if array.ndim != dimensions or array.dtype.kind not in kinds:
        wanted = {"f": "floats", "iu": "whole numbers"}.get(kinds, "numbers")
        shape = {1: "vector", 2: "matrix"}.get(dimensions, f"array of {dimensions} dimensions")
        raise StoreError(
            f"The array {path} holds {array.dtype} of shape {array.shape}, not a {shape} of {wanted}; {mend}."
        )
    return array


def read_npz(path: Path, mend: str) -> dict[str, np.ndarray]:
    """All arrays of a .npz file by name.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError as error:
        raise StoreError(f"There is no file {path}; {mend}.") from error
    except (*_DAMAGE, AttributeError) as error:  # a single array has no names
        raise StoreError(f"The arrays {path} cannot be read ({_one_line(error)}); {mend}.") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def load_stacked(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two paired matrices from a .npy file of shape (2, M, D), memory-mapped.

    Raises
    ------
    ModalensError
        If the file is missing, damaged or of another shape.
    """
    stacked = open_npy(path, 3, "fiub", "give two stacked matrices (2, M, D), image first")
    if len(stacked) != 2:
        raise ModalensError(
            f"{path} has shape {stacked.shape}; it must hold two stacked matrices (2, M, D), image first."
        )
    return stacked[0], stacked[1]
