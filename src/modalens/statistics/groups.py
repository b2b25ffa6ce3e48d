"""What is drawn together in resampling: the groups that pairs fall into."""

import warnings
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int, UInt64

from modalens.arrays import Block, Matrix, default_block_rows, matrix_shape, read_rows, sliceable, stored_rows
from modalens.compiled import cores, numbers, on_cores
from modalens.errors import ModalensError
from modalens.statistics.kernels import csr_digests, dense_digests

# Rows looked at for copies, and the share of copies among them that is told.
_LOOKED_AT = 2000
_MANY = 0.05


def group_keys(groups: Sequence[Any] | np.ndarray, n_pairs: int) -> Int[np.ndarray, " n"]:
    """Key of every pair: the number of its group, counted from 0 in order of appearance.

    Raises
    ------
    ModalensError
        If there is not exactly one group label for each pair.
    """
    if getattr(groups, "ndim", 1) != 1:
        raise ModalensError(
            f"groups must be one label for each pair, not an array of shape {np.shape(groups)}."
        )
    labels = pd.Series(groups).to_numpy()
    if len(labels) != n_pairs:
        raise ModalensError(
            f"groups has {len(labels)} labels for {n_pairs} pairs; give one label for each pair."
        )
    keys, _ = pd.factorize(labels)
    if (keys < 0).any():
        raise ModalensError(
            f"The pair in row {int(np.argmin(keys))} has no group label; give one for each pair."
        )
    return keys.astype(np.int64)


def repeated_rows(matrix: Matrix, rows: int | None = None) -> Int[np.ndarray, " n"]:
    """Number of each row, the same for rows that are equal, from 0 in order of appearance.

    Only the first ``rows`` rows are read, if told.

    Raises
    ------
    ModalensError
        If a value is NaN or infinite.
    """
    return equal_digests(_row_digests(matrix, rows))


def _row_digests(matrix: Matrix, rows: int | None = None, name: str = "matrix") -> UInt64[np.ndarray, "n 2"]:
    """What tells each row from others, in 16 bytes; 0 for rows of zeros. See :func:`repeated_rows`."""
    matrix = sliceable(matrix)
    n, _ = matrix_shape(matrix)
    n = n if rows is None else min(n, rows)
    digests = np.empty((n, 2), dtype=np.uint64)
    step = default_block_rows(matrix)
    for start in range(0, n, step):
        stop = min(start + step, n)
        block = stored_rows(matrix, start, stop, name)
        if block is None:
            block = read_rows(matrix, start, stop, name)
        bounds = np.linspace(0, stop - start, cores() + 1).astype(int).tolist()
        into = digests[start:stop]
        if not all(on_cores(_digest, [(block[a:b], into[a:b]) for a, b in pairwise(bounds)])):
            read_rows(matrix, start, stop, name)  # which names the row
    return digests


def _digest(block: Block, digests: UInt64[np.ndarray, "n 2"]) -> bool:
    """Fill in the digests of rows as they are stored; whether all is finite."""
    if sp.issparse(block):
        csr_digests(block.indptr, block.indices, block.data, digests)
        return True
    return bool(dense_digests(numbers(np.ascontiguousarray(block)), digests))


def digest_of(value: bytes) -> UInt64[np.ndarray, " 2"]:
    """What tells a value from others, in 16 bytes."""
    return np.frombuffer(blake2b(value, digest_size=16).digest(), dtype=np.uint64)


def equal_digests(digests: UInt64[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    """Number of each digest, the same for equal ones, from 0 in order of appearance."""
    # A dictionary of so many rows would take ten times as much.
    order = np.lexsort(digests.T)  # stable: of equal rows the first comes first
    new = np.ones(len(order), dtype=bool)
    new[1:] = False
    for half in digests.T:
        ranked = half[order]
        new[1:] |= ranked[1:] != ranked[:-1]
    small = np.min_scalar_type(-len(order) - 1)
    first = np.empty(len(order), dtype=small)
    first[order] = order[new].astype(small)[np.cumsum(new, dtype=small) - 1]
    del order, new
    numbers: np.ndarray = np.cumsum(first == np.arange(len(first), dtype=small), dtype=small)[
        first
    ] - small.type(1)
    return numbers.astype(np.int64)


def first_of_each(numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " u"]:
    """Where each number comes first, of numbers from 0 in order of appearance."""
    return np.flatnonzero(np.diff(np.maximum.accumulate(numbers), prepend=-1))


def warn_of_copies(matrix: Matrix, name: str) -> bool:
    """Warn if many of the first rows repeat an earlier one, where nobody said which rows belong together.

    Rows of zeros, samples for which no feature fires, are not looked at. Returns whether it warned.
    """
    digests = _row_digests(matrix, _LOOKED_AT, name)
    digests = digests[digests.any(axis=1)]
    copies = len(digests) - int(equal_digests(digests).max()) - 1 if len(digests) else 0
    many = bool(copies > _MANY * len(digests))
    if many:
        warnings.warn(
            f"{copies} of the first {len(digests)} rows of the {name} matrix repeat an earlier row. Samples that are "
            "copies are no independent evidence: give groups=, one label a sample, the same for those that belong "
            "together (such as the image of each caption).",
            stacklevel=3,
        )
    return many


def random_blocks(n_groups: int, most: int, seed: int) -> Int[np.ndarray, " g"]:
    """Block of each group: groups dealt at random into ``most`` blocks of equal size, or each into its own."""
    dealt = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,))).permutation(n_groups)
    return dealt % min(most, n_groups)
