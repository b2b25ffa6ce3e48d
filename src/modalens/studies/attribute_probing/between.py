"""Is one value of an attribute told by other features than another value is? The difference between the two, measured.

The papers' claim that female and male are told by different sides is one of a difference between genders; here that
difference has its interval, on as many pairs of each, beside what random features and swapped labels give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from modalens.arrays import Block
from modalens.edit import IndexSet
from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import CLASS, RANDOM
from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import LEVEL, against_random, corrected, seen_with_power
from modalens.statistics.intervals import interval
from modalens.studies.attribute_probing.attributes import Attribute, published_change
from modalens.studies.attribute_probing.nearest import Design, Tested, nearest_values
from modalens.studies.stats.sentences import CONTROLS

# Of the row of the difference between the two sides.
BOTH, OWN = "both", "own"
# What is edited: the sample alone, or the references alike.
SAMPLE, ALIKE = "sample", "alike"
DIFFERS, AS_CONTROLS, NOT_TOLD = "differs", "as controls", "not told"
_RESAMPLES = 1000
FEWEST = 5  # pairs of either value that a concept has a row of its own with


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of the two values on one input.

    Attributes
    ----------
    found
        Answers for every set.
    swapped
        What :func:`swapped_accuracies` gives for the first sets of these, up to the last class.
    """

    found: Tested
    swapped: Float[np.ndarray, "2 w s 2"]


def swapped_accuracies(
    tested: Block, references: Block, plan: Design, sets: Sequence[Sequence[IndexSet]], swaps: int, seed: int
) -> Float[np.ndarray, "2 w s 2"]:
    """Share told right of each of two values where random groups have each other's labels.

    What differs between the values then is no matter of the attribute: it is how answers move under an edit.

    Parameters
    ----------
    tested, references, plan
        As for :func:`~modalens.studies.attribute_probing.nearest.classify`; the plan has two values.
    sets
        For each seed the sets to remove, in one order.
    swaps, seed
        How many draws, in each of which every group's labels are swapped with probability .5, and their seed.

    Returns
    -------
    ndarray
        By what is edited (the sample alone, the references alike), draw, set and value.
    """
    rng = np.random.default_rng(seed)
    labels = _swapped(plan.tested.labels, plan.tested.keys, swaps, rng)
    of_references = labels
    if plan.references is not plan.tested:
        of_references = _swapped(plan.references.labels, plan.references.keys, swaps, rng)
    hits = np.zeros((2, swaps, len(sets[0]), 2))
    for fixed, splits in zip(sets, plan.rounds, strict=True):
        for refer, test in splits:
            x, means = tested[test], _means_of_two(references[refer], of_references[:, refer])
            for swap, truth in enumerate(labels[:, test]):
                right = nearest_values(x, means[swap], fixed) == truth
                for value in range(2):
                    hits[:, swap, :, value] += right[..., truth == value].sum(axis=2)
    counts = np.stack([(labels == value).sum(axis=1) for value in range(2)], axis=1)
    shares: np.ndarray = hits / np.maximum(counts[:, None] * len(plan.rounds), 1)
    return shares


def between_table(
    measured: Mapping[str, Measured], plan: Design, attribute: Attribute, seed: int
) -> pd.DataFrame:
    """One row for each input, class and way of editing: what either value loses, and the difference.

    Parameters
    ----------
    measured
        What was measured, by input.
    plan
        Who was tested: two values.
    attribute
        For published values.
    seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        ``input`` and ``without``: what is classified, and the class that it loses; ``both`` and ``own`` in the row of
        the claim that values are told by different sides, (first input without its own class) - (second input without
        its own class). ``edited``: ``sample`` as published, or ``alike`` where the references lose the class too, which
        takes out that answers only move. ``change_first`` and ``change_second``: changes in accuracy of the values
        ``first`` and ``second``. ``difference`` = change_first - change_second, under 0 where the class serves the
        first value more, with the 95 % interval of a bootstrap over groups; ``detectable``: the smallest that would
        have been seen at .05 with power .8. ``relative``: the same difference in % of each value's accuracy before, as
        ``published`` is. ``swapped``: the mean difference where labels are swapped, and where 95 % of these lie.
        ``random``: the mean difference without random features of equal number; ``beyond`` = difference - random, with
        the ends within which one more random set would bring it; ``p`` of the hypothesis that the class is one more
        random set, ``q`` the same corrected for all of the table; ``detectable_beyond``: what that test finds. Columns
        that have ``_energy`` in their names are the same beside random features
        of equal energy. ``verdict``: see :func:`verdict_of`.
    """
    parts = {side: _Side(each, plan, seed) for side, each in measured.items()}
    rows = []
    for way, edited in enumerate((SAMPLE, ALIKE)):
        own = []
        for side, part in parts.items():
            for name, place in part.classes.items():
                of_values = [published_change(attribute, side, value, name) for value in plan.values]
                published = of_values[0] - of_values[1] if edited == SAMPLE else np.nan
                effect = part.effect(way, place)
                rows.append(_row(side, name, edited, plan, effect, published))
                if name == side:
                    own.append((effect, published))
        if len(own) == 2:
            (first, theirs), (second, others) = own
            rows.append(_row(BOTH, OWN, edited, plan, first.less(second), theirs - others))
    table = pd.DataFrame(rows)
    table[[f"q{end}" for end in CONTROLS]] = corrected(table[[f"p{end}" for end in CONTROLS]].to_numpy())
    return table.assign(verdict=[verdict_of(row) for row in table.to_dict("records")])


def verdict_of(row: Mapping[Any, Any]) -> str:
    """What a row of the table allows.

    Returns
    -------
    str
        ``differs`` where the interval of the difference leaves out 0, the difference lies outside of where it does when
        labels are swapped, and it goes beyond random features of equal number and of equal energy (q under .05);
        ``as controls`` where the interval leaves out 0 but one of these does as much; else ``not told``.
    """
    if not (row["difference_low"] > 0 or row["difference_high"] < 0):
        return NOT_TOLD
    return DIFFERS if past_swaps(row) and all(beyond_control(row, end) for end in CONTROLS) else AS_CONTROLS


def past_swaps(row: Mapping[Any, Any]) -> bool:
    """Whether the difference lies outside of where it does when labels are swapped."""
    return not row["swapped_low"] <= row["difference"] <= row["swapped_high"]


def beyond_control(row: Mapping[Any, Any], end: str) -> bool:
    """Whether the difference goes beyond that without one kind of random features, or there is no test of it."""
    q = row[f"q{end}"]
    return bool(q != q or (q < LEVEL and row[f"beyond{end}"] * row["difference"] > 0))


def concept_table(
    measured: Mapping[str, Measured], plan: Design, concepts: np.ndarray, seed: int
) -> pd.DataFrame:
    """For each concept what either value loses without each input's own class, references edited alike.

    Parameters
    ----------
    measured, plan, seed
        As for :func:`between_table`.
    concepts
        The concept of each tested pair, (n,).

    Returns
    -------
    DataFrame
        One row for each input and concept of which five pairs of either value are tested: ``pairs`` of each, and
        ``change_first``, ``change_second`` and ``difference`` as in that table. The commonest concepts come first.
    """
    names, numbers = np.unique(concepts.astype(str), return_inverse=True)
    of_each = np.stack(
        [np.bincount(numbers[plan.tested.labels == value], minlength=len(names)) for value in range(2)]
    )
    pairs = of_each.min(axis=0)
    common = [each for each in np.argsort(-pairs, kind="stable") if pairs[each] >= FEWEST]
    rows = []
    for side, each in measured.items():
        part = _Side(each, plan, seed)
        for concept in common if side in part.classes else ():
            changes, drawn = part.changes(1, part.classes[side], numbers == concept)
            row = {
                "input": side,
                "without": side,
                "concept": str(names[concept]),
                "pairs": int(pairs[concept]),
            }
            rows.append(row | _of_values(plan, changes[0], drawn[0]))
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class _Effect:
    """What an edit does to the two values.

    Attributes
    ----------
    changes, draws
        Change in accuracy of either value, and in % of the accuracy before, (2, 2); the same on resamples, (2, 2, r).
    signed
        Outcome of each tested pair, with a sign by value, whose mean is the difference between the values, (n,).
    controls
        The same for each random set, by the end of the controls' columns, (k, n).
    swapped
        The difference where labels are swapped, (w,).
    keys
        Of the tested pairs.
    removed, energy
        Size of the set, and its share of the squared activity.
    """

    changes: Float[np.ndarray, "2 2"]
    draws: Float[np.ndarray, "2 2 r"]
    signed: Float[np.ndarray, " n"]
    controls: Mapping[str, Float[np.ndarray, "k n"]]
    swapped: Float[np.ndarray, " w"]
    keys: Int[np.ndarray, " n"]
    removed: float
    energy: float

    def less(self, other: "_Effect") -> "_Effect":
        """The difference to the effect of another edit on the same pairs."""
        controls = {end: mine - other.controls[end] for end, mine in self.controls.items()}
        return _Effect(
            self.changes - other.changes,
            self.draws - other.draws,
            self.signed - other.signed,
            controls,
            self.swapped - other.swapped,
            self.keys,
            self.removed,
            np.nan,
        )


class _Side:
    """The answers on one input, as shares told right."""

    def __init__(self, measured: Measured, plan: Design, seed: int) -> None:
        found, pairs = measured.found, plan.tested
        self._sets, self._swapped, self._energy, self._keys = (
            found.sets,
            measured.swapped,
            found.energy,
            pairs.keys,
        )
        # Mean over seeds, by what is edited, set and pair.
        self._right = np.stack(
            [(each == pairs.labels).mean(axis=0) for each in (found.predicted, found.alike)]
        )
        self._member = np.stack([pairs.labels == value for value in range(2)]).astype(np.float64)
        self._sign = (self._member[0] / self._member[0].mean()) - (self._member[1] / self._member[1].mean())
        self._seed = seed
        self.classes = {each.name: place for place, each in enumerate(found.sets) if each.kind == CLASS}

    def changes(
        self, way: int, place: int, inside: Bool[np.ndarray, " n"] | slice = slice(None)
    ) -> tuple[Float[np.ndarray, "2 2"], Float[np.ndarray, "2 2 r"]]:
        """What removing a set changes for the pairs inside, and the same on resamples."""
        rows = self._right[way, [0, place]]
        stacked = np.concatenate([self._member, *(rows * each for each in self._member)])[:, inside]
        drawn = resampled_means(stacked, self._keys[inside], _RESAMPLES, self._seed)
        return _changes(stacked.mean(axis=1)[:, None])[..., 0], _changes(drawn)

    def effect(self, way: int, place: int) -> _Effect:
        """Of removing a set, by its place."""
        removed = self._sets[place]
        places = {
            "": [i for i, each in enumerate(self._sets) if each.kind == RANDOM and len(each) == len(removed)],
            "_energy": [
                i for i, each in enumerate(self._sets) if each.name == f"{EQUAL_ENERGY} {removed.name}"
            ],
        }
        base = self._right[way, 0] * self._sign
        swapped = self._swapped[way]
        return _Effect(
            *self.changes(way, place),
            self._right[way, place] * self._sign - base,
            {end: self._right[way, among] * self._sign - base for end, among in places.items()},
            (swapped[:, place] - swapped[:, 0]) @ np.array([1.0, -1.0]),
            self._keys,
            len(removed),
            float(self._energy[place]),
        )


def _changes(means: Float[np.ndarray, "6 r"]) -> Float[np.ndarray, "2 2 r"]:
    """Changes in accuracy and in %, by value, from the means of members and of members told right before and after.

    NaN in a resample without members, and in % where none is told right before.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = means[[2, 4]] / means[:2], means[[3, 5]] / means[:2]
        percent = np.where(before > 0, 100 * (after / before - 1), np.nan)
        return np.stack([after - before, percent])


def _row(
    side: str, without: str, edited: str, plan: Design, effect: _Effect, published: float
) -> dict[str, Any]:
    row: dict[str, Any] = {"input": side, "without": without, "edited": edited}
    row |= {"removed": effect.removed, "energy": effect.energy}
    row |= _of_values(plan, effect.changes[0], effect.draws[0])
    row["detectable"] = seen_with_power(row["difference_low"], row["difference_high"])
    row |= _cell(
        "relative", effect.changes[1, 0] - effect.changes[1, 1], effect.draws[1, 0] - effect.draws[1, 1]
    )
    row["published"] = published
    row |= _cell("swapped", effect.swapped.mean(), effect.swapped)
    for end, draws in effect.controls.items():
        told = against_random(effect.signed, draws, effect.keys)
        row |= {
            f"random{end}": float(draws.mean()),
            f"beyond{end}": told.difference,
            f"beyond{end}_low": told.low,
            f"beyond{end}_high": told.high,
            f"p{end}": told.p,
            f"detectable_beyond{end}": told.detectable,
        }
    return row


def _of_values(
    plan: Design, changes: Float[np.ndarray, " 2"], draws: Float[np.ndarray, "2 r"]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for place, name in enumerate(("first", "second")):
        row |= {name: plan.values[place]} | _cell(f"change_{name}", changes[place], draws[place])
    return row | _cell("difference", changes[0] - changes[1], draws[0] - draws[1])


def _cell(name: str, value: float, draws: Float[np.ndarray, " r"]) -> dict[str, float]:
    low, high = interval(draws)
    return {name: float(value), f"{name}_low": low, f"{name}_high": high}


def _swapped(
    labels: Int[np.ndarray, " n"], keys: Int[np.ndarray, " n"], swaps: int, rng: np.random.Generator
) -> Int[np.ndarray, "w n"]:
    """Two labels, swapped or not group by group."""
    groups, place = np.unique(keys, return_inverse=True)
    turned: np.ndarray = rng.integers(0, 2, (swaps, len(groups)))[:, place] ^ labels
    return turned


def _means_of_two(x: Block, labels: Int[np.ndarray, "w n"]) -> Float[np.ndarray, "w 2 f"]:
    """Mean features of either value under each labelling; 0 for a value that nothing has."""
    ones = labels.sum(axis=1, keepdims=True)
    whole = np.asarray(x.sum(axis=0), dtype=np.float64).ravel()
    sums = (
        np.asarray((x.T @ labels.T.astype(np.float64)).T) if sp.issparse(x) else labels.astype(np.float64) @ x
    )
    n = labels.shape[1]
    return np.stack([(whole - sums) / np.maximum(n - ones, 1), sums / np.maximum(ones, 1)], axis=1)
