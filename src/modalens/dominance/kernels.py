"""Compiled passes over blocks of pairs: sums by cell for dominance scores and for the gap.

Every cell is summed by one thread in the order of rows, so sums do not depend on the number of threads or on the
size of blocks.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block
from modalens.compiled import compiled, compiled_in_any_order, cores, number, numbers, on_cores
from modalens.dominance import device_kernels

# Squares of magnitudes in this range, and sums of them, are far from where float64 overflows or loses bits.
_ORDINARY = (2.0**-128, 2.0**128)
# Squared distances of unit vectors over this follow from their cosine.
_NEAR = 0.1


def add_ratio(
    image: Block,
    text: Block,
    cells: Int[np.ndarray, " n"],
    shift: int,
    share: Float[np.ndarray, "c d"],
    count: Int[np.ndarray, "c d"],
    device: str | None = None,
) -> Int[np.ndarray, " d"]:
    """Add abs(A) / (abs(A) + abs(B)) of each pair to the share of its cell, and 1 to its count where that is defined.

    Parameters
    ----------
    image, text
        Both dense or both CSR with columns in order, see :func:`suits`.
    cells
        Cell of each pair.
    shift
        Pairs whose cells differ only in so many low bits are summed by one thread.
    share, count
        Sums by cell, added to in place. For dense blocks the count is of pairs *less* those in the cell.
    device
        Of PyTorch, on which dense blocks are summed; None for compiled code.

    Returns
    -------
    pairs
        Number of pairs with a defined ratio, by feature.
    """
    if device is not None and not sp.issparse(image):
        return device_kernels.add_ratio(image, text, cells, device, share, count)
    return _spread(False, image, text, cells, shift, share, count)


def add_energy(
    image: Block,
    text: Block,
    cells: Int[np.ndarray, " n"],
    shift: int,
    share: Float[np.ndarray, "c d"],
    count: Float[np.ndarray, "c d"],
    device: str | None = None,
) -> Int[np.ndarray, " d"]:
    """Add A^2 to the share and A^2 + B^2 to the count of each pair's cell; see :func:`add_ratio`."""
    if device is not None and not sp.issparse(image):
        return device_kernels.add_energy(image, text, cells, device, share, count)
    return _spread(True, image, text, cells, shift, share, count)


def add_directions(
    image: Block,
    text: Block,
    cells: Int[np.ndarray, " n"],
    shift: int,
    of_image: Float[np.ndarray, "c d"],
    of_text: Float[np.ndarray, "c d"],
    of_pairs: Float[np.ndarray, "c 3"],
    device: str | None = None,
) -> int | None:
    """Add the unit rows of pairs to the sums of their cells.

    Parameters
    ----------
    image, text, cells, shift, device
        As for :func:`add_ratio`.
    of_image, of_text, of_pairs
        Sums by cell of the two unit rows, and of 1, the distance of the two, and its square; added to in place.

    Returns
    -------
    row
        A number that tells the first row without direction: 2 r for the image of row r, 2 r + 1 for its text; None
        where every row has one.
    """
    if device is not None and not sp.issparse(image):
        return device_kernels.add_directions(image, text, cells, device, of_image, of_text, of_pairs)
    run = _csr_directions if sp.issparse(image) else _dense_directions
    sides, threads = _arrays(image, text), cores()
    pieces = [(*sides, cells, shift, each, threads, of_image, of_text, of_pairs) for each in range(threads)]
    without = [row for row in on_cores(run, pieces) if row >= 0]
    return min(without) if without else None


def unit_rows(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows of ordinary numbers, see :func:`suits`, at unit length in single precision; none is all zeros."""
    unit = np.empty(rows.shape, dtype=np.float32)
    _unit_rows(numbers(np.ascontiguousarray(rows)), unit)
    return unit


def alike(image: Block, text: Block) -> bool:
    """Whether two blocks are of one kind and type of numbers, as the compiled passes need them."""
    return bool(sp.issparse(image) == sp.issparse(text) and image.dtype == text.dtype)


def suits(image: Block, text: Block) -> bool:
    """Whether the compiled passes take these blocks: alike, and of floating-point numbers of ordinary size.

    Half and single precision always suit, with values that are not finite among them, which leave NaN in the sums.
    """
    if not alike(image, text):
        return False
    if image.dtype == np.float64:
        return all(_ordinary(_values(each).ravel()) for each in (image, text))
    return image.dtype == np.float32 or (image.dtype == np.float16 and not sp.issparse(image))


def _spread(
    energy: bool,
    image: Block,
    text: Block,
    cells: np.ndarray,
    shift: int,
    share: np.ndarray,
    count: np.ndarray,
) -> np.ndarray:
    threads = cores()
    pairs = np.zeros((threads, share.shape[1]), dtype=np.int64)
    pieces = [
        (*_arrays(image, text), cells, shift, each, threads, share, count, pairs[each])
        for each in range(threads)
    ]
    total: np.ndarray
    if sp.issparse(image):
        on_cores(_csr_sums, [(*piece, energy) for piece in pieces])
        total = pairs.sum(axis=0)
    else:
        on_cores(_dense_energy if energy else _dense_ratio, pieces)
        total = len(cells) + pairs.sum(axis=0)
    return total


def _arrays(image: Block, text: Block) -> tuple[np.ndarray, ...]:
    """What two blocks are made of."""
    if sp.issparse(image):
        return tuple(array for side in (image, text) for array in (side.indptr, side.indices, side.data))
    return numbers(image), numbers(text)


def _values(block: Block) -> np.ndarray:
    values: np.ndarray = block.data if sp.issparse(block) else block
    return values


@compiled
def _ordinary(values: np.ndarray) -> bool:
    """Whether each number is 0 or of a size that can be squared and summed without a second thought."""
    low, high = _ORDINARY
    for value in values:
        size = abs(value)
        if not (size == 0.0 or (low < size < high)):
            return False
    return True


@compiled
def _dense_ratio(
    image: Any, text: Any, cells: Any, shift: int, mine: int, threads: int, share: Any, count: Any, pairs: Any
) -> None:
    d = image.shape[1]
    for row in range(len(cells)):
        cell = cells[row]
        if (cell >> shift) % threads != mine:
            continue
        x, y, into = image[row], text[row], share[cell]
        some_zero = False
        for j in range(d):
            a, b = abs(number(x[j])), abs(number(y[j]))
            whole = a + b
            some_zero |= whole == 0.0
            # The difference is 0, or NaN where a value is not finite.
            into[j] += (a / whole if whole != 0.0 else 0.0) + (whole - whole)
        if some_zero:
            for j in range(d):
                if number(x[j]) == 0.0 and number(y[j]) == 0.0:
                    count[cell, j] -= 1
                    pairs[j] -= 1


@compiled
def _dense_energy(
    image: Any, text: Any, cells: Any, shift: int, mine: int, threads: int, share: Any, count: Any, pairs: Any
) -> None:
    d = image.shape[1]
    for row in range(len(cells)):
        cell = cells[row]
        if (cell >> shift) % threads != mine:
            continue
        x, y, into, whole = image[row], text[row], share[cell], count[cell]
        some_zero = False
        for j in range(d):
            a, b = number(x[j]), number(y[j])
            a, b = a * a, b * b
            some_zero |= a + b == 0.0
            into[j] += a + (b - b)
            whole[j] += a + b
        if some_zero:
            for j in range(d):
                if number(x[j]) == 0.0 and number(y[j]) == 0.0:
                    pairs[j] -= 1


@compiled
def _csr_sums(
    starts: Any,
    columns: Any,
    values: Any,
    other_starts: Any,
    other_columns: Any,
    other_values: Any,
    cells: Any,
    shift: int,
    mine: int,
    threads: int,
    share: Any,
    count: Any,
    pairs: Any,
    energy: bool,
) -> None:
    for row in range(len(cells)):
        cell = cells[row]
        if (cell >> shift) % threads != mine:
            continue
        i, k = starts[row], other_starts[row]
        end, other_end = starts[row + 1], other_starts[row + 1]
        while i < end or k < other_end:
            a = b = 0.0
            if k == other_end or (i < end and columns[i] <= other_columns[k]):
                j = columns[i]
            else:
                j = other_columns[k]
            if i < end and columns[i] == j:
                a = abs(np.float64(values[i]))
                i += 1
            if k < other_end and other_columns[k] == j:
                b = abs(np.float64(other_values[k]))
                k += 1
            whole = a + b
            if whole != 0.0:
                share[cell, j] += a * a if energy else a / whole + (whole - whole)
                count[cell, j] += a * a + b * b if energy else 1.0
                pairs[j] += 1


@compiled
def _dense_directions(
    image: Any,
    text: Any,
    cells: Any,
    shift: int,
    mine: int,
    threads: int,
    of_image: Any,
    of_text: Any,
    of_pairs: Any,
) -> int:
    d = image.shape[1]
    without = -1
    for row in range(len(cells)):
        cell = cells[row]
        if (cell >> shift) % threads != mine:
            continue
        x, y, of_x, of_y = image[row], text[row], of_image[cell], of_text[cell]
        squares, other_squares, product = _products(x, y)
        if without < 0 and (squares == 0.0 or other_squares == 0.0):
            without = 2 * row if squares == 0.0 else 2 * row + 1
        scale, other_scale = 1.0 / np.sqrt(squares), 1.0 / np.sqrt(other_squares)
        for j in range(d):
            of_x[j] += number(x[j]) * scale
            of_y[j] += number(y[j]) * other_scale
        apart = 2.0 - 2.0 * product * scale * other_scale
        if not apart > _NEAR:  # where this difference would lose digits
            apart = _squares_apart(x, scale, y, other_scale)
        of_pairs[cell, 0] += 1.0
        of_pairs[cell, 1] += np.sqrt(apart)
        of_pairs[cell, 2] += apart
    return without


@compiled
def _unit_rows(rows: Any, unit: Any) -> None:
    for row in range(len(rows)):
        x, into = rows[row], unit[row]
        scale = 1.0 / np.sqrt(_squares(x))
        for j in range(len(x)):
            into[j] = number(x[j]) * scale


@compiled
def _csr_directions(
    starts: Any,
    columns: Any,
    values: Any,
    other_starts: Any,
    other_columns: Any,
    other_values: Any,
    cells: Any,
    shift: int,
    mine: int,
    threads: int,
    of_image: Any,
    of_text: Any,
    of_pairs: Any,
) -> int:
    without = -1
    for row in range(len(cells)):
        cell = cells[row]
        if (cell >> shift) % threads != mine:
            continue
        i, k = starts[row], other_starts[row]
        end, other_end = starts[row + 1], other_starts[row + 1]
        squares, other_squares = _squares(values[i:end]), _squares(other_values[k:other_end])
        if without < 0 and (squares == 0.0 or other_squares == 0.0):
            without = 2 * row if squares == 0.0 else 2 * row + 1
        scale, other_scale = 1.0 / np.sqrt(squares), 1.0 / np.sqrt(other_squares)
        apart = 0.0
        while i < end or k < other_end:
            a = b = 0.0
            if k == other_end or (i < end and columns[i] <= other_columns[k]):
                j = columns[i]
            else:
                j = other_columns[k]
            if i < end and columns[i] == j:
                a = np.float64(values[i]) * scale
                of_image[cell, j] += a
                i += 1
            if k < other_end and other_columns[k] == j:
                b = np.float64(other_values[k]) * other_scale
                of_text[cell, j] += b
                k += 1
            apart += (a - b) * (a - b)
        of_pairs[cell, 0] += 1.0
        of_pairs[cell, 1] += np.sqrt(apart)
        of_pairs[cell, 2] += apart
    return without


@compiled_in_any_order
def _squares(x: Any) -> float:
    total = 0.0
    for j in range(len(x)):
        total += number(x[j]) * number(x[j])
    return total


@compiled_in_any_order
def _products(x: Any, y: Any) -> tuple[float, float, float]:
    squares = other_squares = product = 0.0
    for j in range(len(x)):
        a, b = number(x[j]), number(y[j])
        squares += a * a
        other_squares += b * b
        product += a * b
    return squares, other_squares, product


@compiled_in_any_order
def _squares_apart(x: Any, scale: float, y: Any, other_scale: float) -> float:
    total = 0.0
    for j in range(len(x)):
        apart = number(x[j]) * scale - number(y[j]) * other_scale
        total += apart * apart
    return total
