"""Attributes of pairs: the values of metadata columns, each present or absent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from modalens.errors import InputError
from modalens.statistics.groups import group_keys
from modalens.studies.sparse_probing.config import DictionaryBenchConfig
from modalens.studies.stats.heldout import LabelledPairs
from modalens.studies.stats.labels import read_labels


@dataclass(frozen=True, eq=False)
class Attributes:
    """The pairs that have a label in every column, and which attributes each has.

    Attributes
    ----------
    pairs
        The pairs; their label is the combination of their attributes, by which folds are stratified.
    positive
        Whether a pair has an attribute, (A, n).
    columns, names
        Column and value of each attribute.
    """

    pairs: LabelledPairs
    positive: Bool[np.ndarray, "A n"]
    columns: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def weights(self) -> Float[np.ndarray, "A n"]:
        """Weights by which the mean of right answers is the balanced accuracy: half the sum on either kind of pair."""
        n = self.positive.shape[1]
        having = self.positive.sum(axis=1, keepdims=True)
        found: np.ndarray = n / 2 / np.where(self.positive, having, n - having)
        return found

    def others(self, place: int) -> Int[np.ndarray, " o"]:
        """The attributes that a perturbation of one should leave alone: of its column, or of other columns."""
        same = np.array(self.columns) == self.columns[place]
        beside = same if same.sum() > 1 else np.ones(len(self), dtype=bool)
        return np.flatnonzero(beside & (np.arange(len(self)) != place))

    def shuffled(self, seed: Sequence[int]) -> Int[np.ndarray, " n"]:
        """For each pair, the pair whose attributes it is given when they are dealt out anew, group by group."""
        order = np.argsort(self.pairs.keys, kind="stable")
        starts = np.flatnonzero(np.diff(self.pairs.keys[order], prepend=-1))
        sizes = np.diff(starts, append=len(order))
        taken = np.random.default_rng(seed).permutation(len(starts))
        within = np.arange(len(order)) - np.repeat(starts, sizes)
        # A larger group takes the pairs of a smaller one several times.
        places = np.repeat(starts[taken], sizes) + within % np.repeat(sizes[taken], sizes)
        source = np.empty(len(order), dtype=np.int64)
        source[order] = order[places]
        return source


def attributes_of(
    labels: Mapping[str, Sequence[Any] | np.ndarray],
    n_pairs: int,
    groups: Sequence[Any] | np.ndarray | None,
    config: DictionaryBenchConfig,
) -> Attributes:
    """The commonest values of every column that enough groups have and lack.

    A column with two values gives one attribute, the rarer, since the other is its opposite.

    Raises
    ------
    InputError
        If no column is given, there is not one label a pair, or no value is common enough.
    """
    if not labels:
        raise InputError("Name at least one metadata column that holds labels.")
    texts: dict[str, np.ndarray] = {}
    notes: list[str] = []
    for column, values in labels.items():
        if len(values) != n_pairs:
            raise InputError(
                f"There are {len(values)} labels {column} for {n_pairs} pairs; give one label for each pair."
            )
        found = read_labels(values)
        texts[column] = found.texts
        notes += found.notes
    keys = np.arange(n_pairs) if groups is None else group_keys(groups, n_pairs)
    rows = np.flatnonzero(np.all([pd.notna(each) for each in texts.values()], axis=0))
    if len(rows) < n_pairs:
        notes.append(
            f"{n_pairs - len(rows):,} of {n_pairs:,} pairs lack a label in some column and are left out."
        )
    if len(rows) > config.max_pairs:
        notes.append(f"Of {len(rows):,} pairs with labels {config.max_pairs:,} were drawn at random.")
        rows = np.sort(np.random.default_rng(config.seed).choice(rows, config.max_pairs, replace=False))
    kept: list[tuple[str, str, np.ndarray]] = []
    for column, values in texts.items():
        own = list(_common(values[rows].astype(str), keys[rows], config.least))
        if len(own) > config.attributes:
            notes.append(
                f"Of {len(own)} attributes of {column} the commonest {config.attributes} are probed."
            )
        kept += [(column, name, there) for name, there in own[: config.attributes]]
    if not kept:
        unit = "pairs" if groups is None else "groups"
        raise InputError(
            f"No value of {', '.join(labels)} is one that at least {config.least} {unit} have and as many lack; name "
            "another column, or lower --least."
        )
    positive = np.stack([there for _, _, there in kept])
    combined = np.unique(positive.T, axis=0, return_inverse=True)[1].ravel()
    pairs = LabelledPairs(rows, combined, (), keys[rows], groups is not None, tuple(notes))
    return Attributes(pairs, positive, *zip(*((column, name) for column, name, _ in kept), strict=True))


def _common(texts: np.ndarray, keys: Int[np.ndarray, " n"], least: int) -> Iterator[tuple[str, np.ndarray]]:
    """Values that enough groups have and lack, commonest first; of two, the rarer alone."""
    counts = pd.Series(keys).groupby(texts).nunique()
    counts = counts.sort_values(ascending=False, kind="stable")
    if len(counts) == 2:
        counts = counts.iloc[1:]
    for name in counts.index[counts >= least]:
        there = texts == name
        if len(np.unique(keys[~there])) >= least:
            yield str(name), there
