"""Which value of an attribute a sample has, by the nearest reference: the mean features of each value."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block
from modalens.edit import IndexSet, equal_energy_sets, f_score_set, feature_energy, variance_set
from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import CLASS
from modalens.errors import ModalensError
from modalens.statistics.groups import group_keys
from modalens.studies.stats.heldout import LabelledPairs, Split, cross_validation, labelled_pairs


@dataclass(frozen=True, eq=False)
class Design:
    """Which pairs are tested, and which make the references they are tested against.

    Attributes
    ----------
    tested, references
        Labelled pairs with the same values; the same pairs where they are cross-validated.
    rounds
        For each seed the splits (places in ``references``, places in ``tested``), each tested pair in one of
        them. No split has a group on both sides.
    """

    tested: LabelledPairs
    references: LabelledPairs
    rounds: tuple[tuple[Split, ...], ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The values of the attribute, sorted."""
        return self.tested.names

    @property
    def everyone(self) -> LabelledPairs:
        """The tested pairs, and after them those that only make references."""
        if self.references is self.tested:
            return self.tested
        first, second = self.tested, self.references
        return replace(
            first,
            rows=np.concatenate([first.rows, second.rows]),
            labels=np.concatenate([first.labels, second.labels]),
            keys=np.concatenate([first.keys, second.keys + first.keys.max() + 1]),  # they share no group
        )

    @property
    def notes(self) -> list[str]:
        """A sentence for everything left out."""
        if self.references is self.tested:
            return list(self.tested.notes)
        parts = (("Tested", self.tested), ("References", self.references))
        return [f"{name}: {note}" for name, pairs in parts for note in pairs.notes]

    def all_features(self, tested: Block, references: Block) -> Block:
        """Features of :attr:`everyone`."""
        if self.references is self.tested:
            return tested
        both = (tested, references)
        return sp.vstack(both, format="csr") if sp.issparse(tested) else np.concatenate(both)


def design(
    labels: np.ndarray,
    tested: Bool[np.ndarray, " n"] | None,
    groups: Sequence[Any] | np.ndarray | None,
    *,
    seeds: int,
    folds: int,
    seed: int,
    max_pairs: int | None = None,
) -> Design:
    """Choose who is tested against whom.

    Parameters
    ----------
    labels
        Value of each pair, (n,), None where it has none.
    tested
        The pairs to test; all others make the references, less those whose group is tested, and each seed
        draws half of their groups. None tests every pair in a cross-validation that each seed draws anew.
    groups
        One label a pair; a group is never both tested and in its own reference.
    seeds, folds, seed
        Number of seeds, parts of a cross-validation, and the first seed.
    max_pairs
        Of more labelled pairs on a side so many are drawn.

    Raises
    ------
    ModalensError
        If fewer than two values are left that can be both tested and referred to.
    """
    n = len(labels)
    groups = None if groups is None else group_keys(groups, n)
    if tested is None:
        pairs = labelled_pairs(labels, n, groups, seed, max_pairs)
        rounds = tuple(tuple(cross_validation(pairs, folds, seed + turn)) for turn in range(seeds))
        return Design(pairs, pairs, rounds)
    others = ~tested if groups is None else ~np.isin(groups, groups[tested])
    if not others.any() or not tested.any():
        raise ModalensError(
            f"{tested.sum():,} of {n:,} pairs are to be tested and {others.sum():,} share no group with them; "
            "both must be some, or leave the tested pairs out to cross-validate."
        )
    references = _some(labels, np.flatnonzero(others), groups, seed, max_pairs)
    chosen = _some(_only(labels, references.names), np.flatnonzero(tested), groups, seed, max_pairs)
    if chosen.names != references.names:
        references = _some(_only(labels, chosen.names), np.flatnonzero(others), groups, seed, max_pairs)
    everyone = np.arange(len(chosen))
    rounds = tuple(((_half(references, seed + turn), everyone),) for turn in range(seeds))
    return Design(chosen, references, rounds)


@dataclass(frozen=True, eq=False)
class Tested:
    """What was measured of every set.

    Attributes
    ----------
    sets
        The sets in order, the first of them empty.
    predicted
        Number of the value that each seed finds for each tested pair without a set, (r, s, n).
    alike
        The same where the references lose the set too, (r, s, n).
    energy
        Share of the tested pairs' squared activity that lies in a set, (s,), mean over seeds.
    """

    sets: tuple[IndexSet, ...]
    predicted: Int[np.ndarray, "r s n"]
    alike: Int[np.ndarray, "r s n"]
    energy: Float[np.ndarray, " s"]


def classify(
    tested: Block,
    references: Block,
    plan: Design,
    sets: Sequence[Sequence[IndexSet]],
    sizes: Sequence[int],
    live: Int[np.ndarray, " k"],
    draws: int,
    seed: int,
) -> Tested:
    """Classify the tested pairs without each set by the nearest reference.

    Parameters
    ----------
    tested, references
        Features of ``plan.tested`` and ``plan.references``, dense or CSR.
    plan
        Who is tested against whom.
    sets
        For each seed the sets to remove, in one order and of the same sizes.
    sizes, live
        After those, the features of largest variance and of largest F-score of these sizes are removed, chosen
        of the live features on each split's references.
    draws, seed
        How many random sets of live features with the energy of each class are removed at last, and their seed.

    Raises
    ------
    ModalensError
        If the references of a split lack a value.
    """
    n, total = len(plan.tested), feature_energy(tested)
    answers: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    used: tuple[IndexSet, ...] = ()
    for fixed, splits in zip(sets, plan.rounds, strict=True):
        as_energetic = [
            IndexSet(f"{EQUAL_ENERGY} {each.name}", EQUAL_ENERGY, drawn.indices)
            for each in fixed
            if each.kind == CLASS
            for drawn in equal_energy_sets(live, total, float(total[each.indices].sum()), draws, seed)
        ]
        here = np.zeros((2, len(fixed) + 2 * len(sizes) + len(as_energetic), n), dtype=np.int64)
        for refer, test in splits:
            x, y = references[refer], plan.references.labels[refer]
            important = [
                each for k in sizes for each in (variance_set(x, k, live), f_score_set(x, y, k, live))
            ]
            used = (*fixed, *important, *as_energetic)
            means = _means(x, y, plan.values)
            here[:, :, test] = nearest_values(tested[test], means, used)
            shares.append(np.array([total[each.indices].sum() for each in used]) / max(total.sum(), 1e-300))
        answers.append(here)
    predicted, alike = np.stack(answers, axis=1)
    return Tested(used, predicted, alike, np.mean(shares, axis=0))


def nearest_values(
    x: Block, means: Float[np.ndarray, "v f"], sets: Sequence[IndexSet]
) -> Int[np.ndarray, "2 s n"]:
    """Number of the nearest mean to each edited sample: of the whole means, and of means edited alike.

    |x - r|^2 without the part that all references share is |r|^2 - 2 x r; x without I only changes the product.
    """
    kept = np.ones((len(sets), means.shape[1]))
    for row, each in zip(kept, sets, strict=True):
        row[each.indices] = 0
    weights = (kept[:, None] * means).reshape(-1, means.shape[1])
    products = np.asarray(x @ weights.T).reshape(x.shape[0], len(sets), len(means))
    squares = means**2
    distances = np.stack([squares.sum(axis=1) - 2 * products, kept @ squares.T - 2 * products])
    nearest: np.ndarray = distances.argmin(axis=3).transpose(0, 2, 1)
    return nearest


def _means(x: Block, labels: Int[np.ndarray, " n"], values: Sequence[str]) -> Float[np.ndarray, "v f"]:
    counts = np.bincount(labels, minlength=len(values))
    if not counts.all():
        raise ModalensError(
            f"A split leaves no reference for the value {values[int(counts.argmin())]!r}; give fewer folds, or "
            "more pairs of that value."
        )
    members = sp.csr_array(
        (1 / counts[labels], (labels, np.arange(len(labels)))), shape=(len(values), len(labels))
    )
    means = members @ x
    return means.toarray() if sp.issparse(means) else np.asarray(means)


def _some(
    labels: np.ndarray, rows: np.ndarray, groups: np.ndarray | None, seed: int, max_pairs: int | None
) -> LabelledPairs:
    """The labelled pairs among some rows."""
    pairs = labelled_pairs(labels[rows], len(rows), None if groups is None else groups[rows], seed, max_pairs)
    return replace(pairs, rows=rows[pairs.rows])


def _only(labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The labels, None in place of all that have another name."""
    return (
        pd.Series(labels, dtype=object).where(np.isin(labels.astype(str), names), None).to_numpy(dtype=object)
    )


def _half(pairs: LabelledPairs, seed: int) -> Int[np.ndarray, " k"]:
    """Places of the pairs in a random half of the groups; of a value that none of them has, all."""
    distinct = np.unique(pairs.keys)
    drawn = np.random.default_rng(seed).choice(distinct, (len(distinct) + 1) // 2, replace=False)
    chosen = np.isin(pairs.keys, drawn)
    present = np.bincount(pairs.labels[chosen], minlength=len(pairs.names)) > 0
    return np.flatnonzero(chosen | ~present[pairs.labels])
