"""Likeness by labels: samples are alike as far as they share labels, which needs no model."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from modalens.errors import InputError
from modalens.store import PairStore

LABELS = "labels:"


def label_vectors(
    name: str, store: PairStore, rows: Int[np.ndarray, " n"]
) -> tuple[sp.csr_array, dict[str, Any]]:
    """Vectors whose cosine is the mean over columns of how far two pairs share the labels of a column.

    Parameters
    ----------
    name
        ``labels:`` and metadata columns with commas between; a cell holds one label, or several with commas between.
    store
        The pairs.
    rows
        Those to embed, n of them.

    Returns
    -------
    vectors, card
        Sparse, (n, l). Of each column a part of length one: 1 / sqrt(number of its labels) for each label of the
        pair; a pair without any shares nothing with others. The card says which columns, and a checksum.

    Raises
    ------
    InputError
        If no column is named, or the pairs lack one.
    """
    columns = label_columns(name)
    missing = [each for each in columns if each not in store.columns]
    if missing or not columns:
        there = ", ".join(store.columns)
        raise InputError(
            f"The judge {name!r} needs metadata columns of the pairs, which have {there}; name some of them."
        )
    frame = store.read_metadata(columns).iloc[rows]
    parts = [_indicators([_labels(cell) for cell in frame[column]]) for column in columns]
    vectors = sp.csr_array(sp.hstack(parts, format="csr"))
    digest = hashlib.sha256()
    for part in (vectors.indptr, vectors.indices, vectors.data):
        digest.update(part.tobytes())
    card = {
        "model": name,
        "class": "labels of the pairs",
        "dim": vectors.shape[1],
        "sha256": digest.hexdigest(),
    }
    return vectors, card


def label_columns(name: str) -> list[str]:
    """The columns that a judge's name asks for; none where it is no judge by labels."""
    if not name.startswith(LABELS):
        return []
    return [each.strip() for each in name.removeprefix(LABELS).split(",") if each.strip()]


def _labels(cell: Any) -> list[str]:
    """The labels of a cell; none of an empty one."""
    if cell is None or cell != cell:
        return []
    return list(dict.fromkeys(label for part in str(cell).split(",") if (label := part.strip())))


def _indicators(labels: Sequence[Sequence[str]]) -> sp.csr_array:
    """Rows of length one over all labels, and over one place more for each row that has none."""
    names = sorted({label for own in labels for label in own})
    places = {label: place for place, label in enumerate(names)}
    empty = iter(range(len(names), len(names) + len(labels)))
    columns = [[places[label] for label in own] or [next(empty)] for own in labels]
    counts = np.array([len(own) for own in columns])
    values = np.repeat(1 / np.sqrt(counts), counts)
    ends = np.concatenate([[0], np.cumsum(counts)])
    return sp.csr_array(
        (values, np.concatenate(columns), ends), shape=(len(labels), len(names) + len(labels))
    )
