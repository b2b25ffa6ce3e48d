"""Pairs with a label that can be learned, and folds that hold some of them out."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from modalens.arrays import Block, Matrix, iter_blocks
from modalens.errors import ModalensError
from modalens.statistics.groups import group_keys
from modalens.studies.stats.labels import read_labels

Split = tuple[Int[np.ndarray, " a"], Int[np.ndarray, " b"]]


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """The pairs with a label that can be learned.

    Attributes
    ----------
    rows
        Their rows in the matrices, sorted, (n,).
    labels
        Number of each pair's label, (n,).
    names
        The labels by number.
    keys
        A number that the pairs of one group share, (n,); a group is never both fitted on and tested on.
    grouped
        Whether groups were given; else every pair is its own.
    notes
        A sentence for everything left out.
    """

    rows: Int[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]
    names: tuple[str, ...]
    keys: Int[np.ndarray, " n"]
    grouped: bool
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


def labelled_pairs(
    labels: Sequence[Any] | np.ndarray,
    n_pairs: int,
    groups: Sequence[Any] | np.ndarray | None = None,
    seed: int = 0,
    max_pairs: int | None = None,
) -> LabelledPairs:
    """Leave out pairs without a label (:func:`~modalens.studies.stats.labels.read_labels`), and labels that only one
    pair or one group has.

    Of more than ``max_pairs`` pairs that many are drawn at random, since a classifier holds its samples in memory and
    reads every one of them hundreds of times.

    Raises
    ------
    ModalensError
        If there is not one label (or group) for each pair, no label at all, or fewer than two that at least
        two pairs (or groups) have.
    """
    if len(labels) != n_pairs:
        raise ModalensError(
            f"There are {len(labels)} labels for {n_pairs} pairs; give one label for each pair."
        )
    keys = np.arange(n_pairs) if groups is None else group_keys(groups, n_pairs)
    unit = "pair" if groups is None else "group"
    found = read_labels(labels)
    there = pd.notna(found.texts)
    rows = np.flatnonzero(there)
    if not rows.size:
        raise ModalensError("No pair has a label; name a metadata column that holds labels.")
    notes = list(found.notes)
    if rows.size < n_pairs:
        notes.append(f"{n_pairs - rows.size:,} of {n_pairs:,} pairs have no label and are left out.")
    if max_pairs is not None and rows.size > max_pairs:
        notes.append(f"Of {rows.size:,} pairs with a label {max_pairs:,} were drawn at random.")
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_pairs, replace=False))
    frame = pd.DataFrame({"label": found.texts[rows].astype(str), "key": keys[rows]})
    spread = frame.groupby("label")["key"].nunique()
    rare = sorted(spread.index[spread < 2])
    if rare:
        notes.append(
            f"{_listed(rare)} {'is' if len(rare) == 1 else 'are'} left out: a label that one {unit} has cannot "
            "be both learned and tested."
        )
    kept = ~frame["label"].isin(rare).to_numpy()
    names = sorted(spread.index[spread >= 2])
    if len(spread) == 1:
        raise ModalensError(
            f"Every pair that has a label has the label {spread.index[0][:60]!r}; name a column of at least two labels."
        )
    if len(names) < 2:
        raise ModalensError(
            f"Only {len(names)} of {len(spread)} labels has at least two {unit}s; give pairs with at least two "
            "such labels, so that there is something to tell apart."
        )
    numbers = pd.Categorical(frame["label"][kept], categories=names).codes.astype(np.int64)
    return LabelledPairs(
        rows[kept], numbers, tuple(names), frame["key"].to_numpy()[kept], groups is not None, tuple(notes)
    )


def cross_validation(pairs: LabelledPairs, folds: int, seed: int) -> list[Split]:
    """Train and test pairs of every fold: each pair is tested once, and groups are kept whole.

    Raises
    ------
    ModalensError
        If no label has as many pairs (or groups) as there are folds.
    """
    unit = "groups" if pairs.grouped else "pairs"
    most = pd.Series(pairs.keys).groupby(pairs.labels).nunique().max()
    if not 2 <= folds <= most:
        raise ModalensError(
            f"folds must lie between 2 and the {most} {unit} of the commonest label, not {folds!r}."
        )
    splitter = StratifiedGroupKFold if pairs.grouped else StratifiedKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label rarer than the folds is missing from some
        split = splitter(folds, shuffle=True, random_state=seed).split(pairs.labels, pairs.labels, pairs.keys)
        return [(train, test) for train, test in split if len(test)]


def read_pairs(x: Matrix, pairs: LabelledPairs, name: str) -> Block:
    """The features of the labelled pairs in memory, (n, f), dense or CSR."""
    blocks = []
    for start, block in iter_blocks(x, name=name):
        first, last = np.searchsorted(pairs.rows, [start, start + block.shape[0]])
        blocks.append(block[pairs.rows[first:last] - start])
    return sp.vstack(blocks, format="csr") if sp.issparse(blocks[0]) else np.concatenate(blocks)


def beyond_chance(
    predicted: Int[np.ndarray, "*s n"], labels: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "*s n"]:
    """Right (1) or wrong (0), less the share of samples that have the predicted label.

    Its mean is 0 for predictions that know nothing, however often they name the commonest label, which accuracy
    rewards; it is the numerator of Cohen's kappa.
    """
    shares = np.bincount(labels) / len(labels)
    above: np.ndarray = (predicted == labels) - shares[predicted]
    return above


def _listed(names: Sequence[str], most: int = 5) -> str:
    quoted = [repr(name) for name in names[:most]]
    return ", ".join(quoted) + (f" and {len(names) - most} more labels" if len(names) > most else "")
