"""One view on every kind of matrix modalens takes.

A matrix is a NumPy array, a torch tensor, a SciPy CSR matrix or a lazy column of a store: anything of
two dimensions with a ``shape`` that gives rows when sliced. Everything that reads one goes through
:func:`read_rows` or a walk in blocks, so memory depends on the block and not on the number of samples.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32

from modalens.errors import InputError, ModalensError

# A NumPy array, torch tensor, SciPy sparse matrix or lazy column, of shape (n, d).
Matrix: TypeAlias = Any
# What a block of rows is handed out as: float64, dense or CSR in canonical form.
Block: TypeAlias = Any

BLOCK_ROWS = 4096


def default_block_rows(matrix: Matrix) -> int:
    """Rows to read at a time so that a block stays small: fewer of a wide matrix, more of a sparse one."""
    if sp.issparse(matrix) or sp.issparse(matrix[0:1]):
        return 16_384
    return int(np.clip(2**20 // max(int(matrix.shape[1]), 1), 256, BLOCK_ROWS))


def matrix_shape(matrix: Matrix, name: str = "the matrix") -> tuple[int, int]:
    """Number of rows and columns of a matrix.

    Raises
    ------
    ModalensError
        If it does not have two dimensions, has no rows or no columns, or is a sparse torch tensor.
    """
    if str(getattr(matrix, "layout", "")).startswith("torch.sparse"):
        raise InputError(
            f"{name} is a sparse torch tensor, whose rows cannot be sliced; give tensor.to_dense() or SciPy's CSR."
        )
    shape = tuple(getattr(matrix, "shape", ()))
    if len(shape) != 2:
        raise ModalensError(f"{name} must have two dimensions (samples, features), not shape {shape}.")
    rows, columns = int(shape[0]), int(shape[1])
    if rows == 0 or columns == 0:
        raise ModalensError(f"{name} is empty: it has {rows} samples and {columns} features.")
    return rows, columns


def paired_shape(image: Matrix, text: Matrix, names: tuple[str, str] = ("image", "text")) -> tuple[int, int]:
    """Shape (M, D) that two paired matrices share.

    Raises
    ------
    ModalensError
        If either is empty or the two shapes differ.
    """
    first = matrix_shape(image, f"The {names[0]} matrix")
    second = matrix_shape(text, f"The {names[1]} matrix")
    if first[0] != second[0]:
        raise ModalensError(
            f"The {names[0]} matrix has {first[0]} rows and the {names[1]} matrix {second[0]}: "
            "row i of one must be the pair of row i of the other."
        )
    if first[1] != second[1]:
        raise ModalensError(
            f"The {names[0]} matrix has {first[1]} features and the {names[1]} matrix {second[1]}: "
            "both must live in one space."
        )
    return first


def read_rows(matrix: Matrix, start: int, stop: int, name: str = "matrix") -> Block:
    """Rows ``start`` to ``stop`` in float64: dense, or CSR in canonical form without stored zeros.

    Raises
    ------
    ModalensError
        If the values are not real numbers, or one is NaN or infinite (the sentence names the first such row), or a
        sparse matrix names columns that it does not have.
    """
    rows = matrix[start:stop]
    if sp.issparse(rows):
        _require_real(rows.dtype, name)
        if rows.format == "csr":
            _require_columns(rows, name)
        block = sp.csr_array(rows, dtype=np.float64, copy=True)
        block.sum_duplicates()
        block.eliminate_zeros()
        finite = bool(np.isfinite(block.data).all())
    else:
        if hasattr(rows, "detach"):  # a torch tensor; NumPy knows no bfloat16, so widen first
            rows = rows.detach().cpu()
            rows = (rows if rows.is_complex() else rows.double()).numpy()
        rows = np.asarray(rows)
        _require_real(rows.dtype, name)
        with np.errstate(invalid="ignore"):  # a NaN of another kind is told below
            block = rows.astype(np.float64, copy=False)
        finite = bool(np.isfinite(block).all())
    if not finite:
        bad = _first_bad_row(block)
        raise ModalensError(
            f"The {name} matrix has a NaN or infinite value in row {start + bad}; "
            "remove that pair or embed it again."
        )
    return block


def stored_rows(matrix: Matrix, start: int, stop: int, name: str = "matrix") -> Block | None:
    """Rows ``start`` to ``stop`` as they are stored: dense in half or single precision, or CSR in canonical form.

    None for others, which :func:`read_rows` widens. Values of dense rows are not looked at, and may be NaN or infinite.

    Raises
    ------
    ModalensError
        If a sparse matrix names columns that it does not have.
    """
    rows = matrix[start:stop]
    if sp.issparse(rows):
        if rows.format != "csr" or rows.dtype not in (np.float32, np.float64):
            return None
        _require_columns(rows, name)
        rows = sp.csr_array(rows)
        return rows if rows.has_canonical_format and np.isfinite(rows.data).all() else None
    if hasattr(rows, "detach"):
        if not rows.is_floating_point() or rows.element_size() > 4:
            return None
        rows = rows.detach().cpu()
        rows = (
            rows if rows.element_size() == 4 or str(rows.dtype) == "torch.float16" else rows.float()
        ).numpy()
    rows = np.asarray(rows)
    native = rows.dtype.newbyteorder("=")
    return np.ascontiguousarray(rows, dtype=native) if native in (np.float16, np.float32) else None


def single_rows(matrix: Matrix, start: int, stop: int, name: str = "matrix") -> Float32[np.ndarray, "n d"]:
    """A copy of rows ``start`` to ``stop``, dense and in single precision.

    Raises
    ------
    ModalensError
        As :func:`read_rows`.
    """
    rows = None if sp.issparse(matrix) else stored_rows(matrix, start, stop, name)
    if rows is None or not np.isfinite(rows).all():
        rows = read_rows(matrix, start, stop, name)
    copy: Float32[np.ndarray, "n d"] = (rows.toarray() if sp.issparse(rows) else rows).astype(np.float32)
    return copy


def widened(block: Block) -> Block:
    """A block in float64: dense, or CSR without stored zeros."""
    if not sp.issparse(block):
        return np.asarray(block, dtype=np.float64)
    if block.dtype == np.float64 and block.data.all():
        return block
    wide = sp.csr_array(block, dtype=np.float64, copy=True)
    wide.eliminate_zeros()
    return wide


def iter_blocks(
    matrix: Matrix,
    rows: int = BLOCK_ROWS,
    name: str = "matrix",
    read: Callable[[Matrix, int, int, str], Block] = read_rows,
) -> Iterator[tuple[int, Block]]:
    """Walk over a matrix in blocks of ``rows`` rows, as (first row, block) in order, each as ``read`` reads it."""
    total, _ = matrix_shape(matrix, f"The {name} matrix")
    matrix = sliceable(matrix)
    for start in range(0, total, rows):
        yield start, read(matrix, start, min(start + rows, total), name)


def iter_paired_blocks(
    image: Matrix,
    text: Matrix,
    rows: int = BLOCK_ROWS,
    names: tuple[str, str] = ("image", "text"),
) -> Iterator[tuple[int, Block, Block]]:
    """Walk over two paired matrices together, as (first row, image block, text block) in order."""
    if rows < 1:
        raise ModalensError(f"A block must have at least 1 row, not {rows}.")
    total, _ = paired_shape(image, text, names)
    image, text = sliceable(image), sliceable(text)
    for start in range(0, total, rows):
        stop = min(start + rows, total)
        yield start, read_rows(image, start, stop, names[0]), read_rows(text, start, stop, names[1])


def normalize_rows(block: Block) -> tuple[Block, Float[np.ndarray, " n"]]:
    """L2-normalise the rows of a block; a zero row stays zero.

    Returns
    -------
    block
        The unit rows, of the kind that came in.
    peaks
        The largest magnitude of each row as it came in; 0 marks a row without direction.
    """
    # The peak goes out first, so that squares neither overflow nor vanish.
    if sp.issparse(block):
        peaks = abs(block).max(axis=1).toarray().ravel()
        of_entry = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        unit = block.copy()
        unit.data = unit.data / peaks[of_entry]
        squares = np.bincount(of_entry, weights=unit.data**2, minlength=block.shape[0])
        unit.data /= np.sqrt(squares)[of_entry]
        return unit, peaks
    peaks = np.abs(block).max(axis=1)
    divisor = np.where(peaks > 0, peaks, 1.0)[:, None]
    unit = block / divisor
    norms = np.linalg.norm(unit, axis=1, keepdims=True)
    unit /= np.where(norms > 0, norms, 1.0)
    return unit, peaks


def sliceable(matrix: Matrix) -> Matrix:
    """The matrix itself, or as CSR if it is of a sparse format whose rows are not at hand."""
    return matrix.tocsr() if sp.issparse(matrix) and matrix.format != "csr" else matrix


def _require_real(dtype: np.dtype, name: str) -> None:
    if dtype.kind not in "fiub":
        raise ModalensError(f"The {name} matrix holds values of type {dtype}; it must hold real numbers.")


def _require_columns(rows: Any, name: str) -> None:
    """Raise if a CSR matrix names columns that it does not have: compiled code would write beyond its arrays."""
    columns = rows.indices
    if len(columns) and not (columns.min() >= 0 and columns.max() < rows.shape[1]):
        raise InputError(
            f"The {name} matrix names columns from {columns.min()} to {columns.max()} and has {rows.shape[1]}; make it "
            "again."
        )


def _first_bad_row(block: Block) -> int:
    if sp.issparse(block):
        position = int(np.flatnonzero(~np.isfinite(block.data))[0])
        return int(np.searchsorted(block.indptr, position, side="right")) - 1
    return int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
