"""Edits that touch some features and leave all others as they are, bit for bit.

They work on NumPy arrays, torch tensors (gradients flow through) and SciPy CSR matrices; a store's lazy column
is read first. The last axis is the feature axis, so token vectors (tokens, d) are edited as embeddings are.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from modalens.errors import ModalensError

# A NumPy array or torch tensor (..., d), a SciPy sparse matrix (n, d) or a lazy column (n, d).
Features: TypeAlias = Any
Indices: TypeAlias = Int[np.ndarray, " k"] | Sequence[int]


def zero(x: Features, indices: Indices) -> Features:
    """Set some features to 0.

    Parameters
    ----------
    x
        Embeddings or codes, (..., d); left as they are.
    indices
        Features to zero; none of them changes nothing.

    Returns
    -------
    Features
        A copy of the kind that came in.

    Raises
    ------
    ModalensError
        If an index is out of range.
    """
    x = _materialised(x)
    indices = check_indices(indices, int(x.shape[-1]))
    if sp.issparse(x):
        return _without(x, indices) if indices.size else x.copy()
    edited = _copy(x)
    edited[..., indices] = 0
    return edited


def blend(x: Features, reference: Features, indices: Indices, strength: float) -> Features:
    """Move some features towards a reference: T'[I] = (1 - s) T[I] + s R[I].

    The equation of Beyond Cross-Modal Alignment, section 5.3, with the strength s = 1 - alpha.

    Parameters
    ----------
    x
        T, (..., d); left as it is.
    reference
        R, of the shape of ``x`` or one that broadcasts to it, such as (d,). A dense reference for a sparse
        ``x`` fills the chosen features wherever R is not 0.
    indices
        I, the features to move.
    strength
        s in [0, 1]: 0 gives the bits of ``x`` back, 1 replaces the features by the reference's.

    Returns
    -------
    Features
        A copy of the kind and number type that came in; whole numbers become float64.

    Raises
    ------
    ModalensError
        If the strength or an index is out of range, or the reference does not fit.
    """
    if not 0 <= strength <= 1:
        raise ModalensError(f"The strength of a blend must lie between 0 and 1, not {strength!r}.")
    x, reference = _materialised(x), _fitting(_materialised(reference), x)
    indices = check_indices(indices, int(x.shape[-1]))
    if strength == 0 or indices.size == 0:
        return x.copy() if sp.issparse(x) else _copy(x)
    if sp.issparse(x):
        mixed = (1 - strength) * _only(x, indices) + strength * _only(reference, indices)
        whole = _without(x, indices) + mixed
        return whole if x.dtype.kind in "iub" else whole.astype(x.dtype)
    edited = _copy(x)
    if not _is_tensor(x) and x.dtype.kind in "iub":
        edited = edited.astype(np.float64)
    edited[..., indices] = (1 - strength) * x[..., indices] + strength * reference[..., indices]
    return edited


def distance(x: Features, reference: Features, indices: Indices, *, squared: bool = False) -> Features:
    """Euclidean distance on some features only: the loss that aligns ``x`` to a reference there.

    || F_adv[I] - F_ben[I] ||_2 of Beyond Cross-Modal Alignment, section 5.2.

    Parameters
    ----------
    x, reference
        As for :func:`blend`.
    indices
        The features I to compare; none gives 0.
    squared
        The square of it, whose gradient fades towards 0 and does not jump there.

    Returns
    -------
    Features
        Not negative, 0 where both agree; the shape of ``x`` without its last axis. A tensor carries gradients.

    Raises
    ------
    ModalensError
        If an index is out of range, or the reference does not fit.
    """
    x, reference = _materialised(x), _fitting(_materialised(reference), x)
    indices = check_indices(indices, int(x.shape[-1]))
    if sp.issparse(x):
        apart = _only(x, indices) - _only(reference, indices)
        squares = np.asarray(apart.multiply(apart).sum(axis=1)).ravel()
        return squares if squared else np.sqrt(squares)
    apart = x[..., indices] - reference[..., indices]
    if squared:
        return (apart * apart).sum(-1)
    return apart.norm(dim=-1) if _is_tensor(apart) else np.linalg.norm(apart, axis=-1)


def check_indices(indices: Indices, n_features: int) -> Int[np.ndarray, " k"]:
    """The indices sorted, each once, if they are whole numbers in range.

    Raises
    ------
    ModalensError
        If they are not one-dimensional whole numbers, or one is out of range.
    """
    found = np.asarray(indices)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ModalensError(
            f"Feature indices must be one row of whole numbers, not {found.dtype} of shape {found.shape}."
        )
    found = np.unique(found.astype(np.int64))
    bad = found[(found < 0) | (found >= n_features)]
    if bad.size:
        raise ModalensError(
            f"There is no feature {bad[0]}: {n_features} features are numbered from 0 to {n_features - 1}."
        )
    return found


def _materialised(x: Features) -> Features:
    if sp.issparse(x):
        return x if x.format == "csr" else x.tocsr()
    if isinstance(x, np.ndarray) or _is_tensor(x):
        return x
    return x[:] if hasattr(x, "shape") else np.asarray(x)


def _is_tensor(x: Features) -> bool:
    return hasattr(x, "detach")


def _copy(x: Features) -> Features:
    return x.clone() if _is_tensor(x) else x.copy()


def _fitting(reference: Features, x: Features) -> Features:
    """The reference, if it broadcasts to ``x``; for a sparse ``x`` as a sparse matrix of its shape."""
    try:
        fits = np.broadcast_shapes(tuple(reference.shape), tuple(x.shape)) == tuple(x.shape)
    except ValueError:
        fits = False
    if not fits or reference.ndim == 0 or reference.shape[-1] != x.shape[-1]:
        raise ModalensError(
            f"A reference of shape {tuple(reference.shape)} does not fit features of shape {tuple(x.shape)}."
        )
    if _is_tensor(x) != _is_tensor(reference) or (sp.issparse(reference) and not sp.issparse(x)):
        raise ModalensError(
            f"Features of type {type(x).__name__} need a reference of that type, not {type(reference).__name__}."
        )
    if not sp.issparse(x):
        return reference
    rows = sp.csr_array(reference if sp.issparse(reference) else np.atleast_2d(reference))
    if rows.shape == x.shape:
        return rows
    n = x.shape[0]
    repeated = (np.tile(rows.data, n), np.tile(rows.indices, n), np.arange(n + 1) * rows.nnz)
    return sp.csr_array(repeated, shape=x.shape)


def _without(x: Features, indices: Int[np.ndarray, " k"]) -> Features:
    """A CSR matrix with some columns empty."""
    edited = x.copy()
    chosen = np.zeros(x.shape[1], dtype=bool)
    chosen[indices] = True
    edited.data[chosen[edited.indices]] = 0
    edited.eliminate_zeros()
    return edited


def _only(x: Features, indices: Int[np.ndarray, " k"]) -> Features:
    """A CSR matrix with all but some columns empty."""
    return _without(x, np.setdiff1d(np.arange(x.shape[1]), indices))
