"""The table of the removal study, and what it lets one say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.edit import IndexSet
from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import against_random, corrected, one_more_draw
from modalens.statistics.intervals import interval
from modalens.studies.stats.heldout import LabelledPairs, beyond_chance
from modalens.studies.stats.sentences import (
    BEYOND_CHANCE,
    CONTROLS,
    CORRECTED,
    beside_controls,
    class_words,
    counted_features,
    q_words,
)

RESAMPLES = 500


@dataclass(frozen=True, eq=False)
class Removed:
    """Predicted label of each pair without a class and without its controls: (n,), or (r, n) for random sets.

    Attributes
    ----------
    modality, without, removed
        What is classified, the class and its number of features.
    energy
        Share of the modality's energy that the class holds.
    removed_energy
        Mean number of features of the random sets of equal energy.
    whole
        Predictions with all features.
    own, variance, f_score, random, equal_energy
        Without the class, and without each control.
    """

    modality: str
    without: str
    removed: int
    energy: float
    removed_energy: float
    whole: Int[np.ndarray, " n"]
    own: Int[np.ndarray, " n"]
    variance: Int[np.ndarray, " n"]
    f_score: Int[np.ndarray, " n"]
    random: Int[np.ndarray, "r n"]
    equal_energy: Int[np.ndarray, "e n"]

    @classmethod
    def empty(
        cls,
        modality: str,
        each: IndexSet,
        controls: tuple[Sequence[IndexSet], Sequence[IndexSet]],
        energy: Float[np.ndarray, " f"],
        whole: Int[np.ndarray, " n"],
        n: int,
    ) -> Self:
        """To be filled in, for ``n`` pairs."""
        own, variance, f_score = np.zeros((3, n), dtype=np.int64)
        random, equal_energy = (np.zeros((len(sets), n), dtype=np.int64) for sets in controls)
        share = float(energy[each.indices].sum() / max(energy.sum(), 1e-300))
        number = float(np.mean([len(one) for one in controls[1]]))
        return cls(
            modality, each.name, len(each), share, number, whole, own, variance, f_score, random, equal_energy
        )


def removal_table(found: Sequence[Removed], pairs: LabelledPairs, seed: int) -> pd.DataFrame:
    """One row a modality and class.

    Returns
    -------
    DataFrame
        ``removed`` features, and the share of the modality's ``energy`` (sum of squares) that they hold. ``whole``,
        ``accuracy`` (without the class), ``variance`` and ``f_score`` (without those controls), ``drop`` = whole -
        accuracy and ``beyond_variance`` = accuracy - variance carry 95 % intervals of a bootstrap over test pairs
        (by group), which leave out what another training set would change. ``random`` is the mean over random sets
        of equal number, with the interval in which one more would fall. ``difference`` to them, in accuracy beyond
        chance (:func:`~modalens.studies.stats.heldout.beyond_chance`), is under 0 where the class carries more;
        ``p`` is two-sided, of the hypothesis that the class is one more random set; ``q`` is corrected for all tests
        of the table, and ``detectable`` is the smallest difference that the test finds with power .8. Columns that end
        in ``_energy`` are the same beside random sets of equal energy. ``majority`` is the share of the commonest
        label.
    """
    table = pd.DataFrame([_row(each, pairs, seed) for each in found])
    if len(table):
        table[[f"q{end}" for end in CONTROLS]] = corrected(table[[f"p{end}" for end in CONTROLS]].to_numpy())
    return table


def statements(table: pd.DataFrame, draws: int, of_energy: int) -> list[str]:
    """One sentence a row, and what q means."""
    rows = table.to_dict("records")
    said = []
    for row in rows:
        beside = " and without random ones of ".join(
            f"{name} to {_with_interval(row, f'random{end}')} ({q_words(row[f'q{end}'])})"
            for end, name in CONTROLS.items()
        )
        said.append(
            f"Without the {counted_features(row['removed'], row['without'])} ({row['energy']:.1%} of the energy) "
            f"{row['modality']} accuracy goes from {row['whole']:.3f} to {row['accuracy']:.3f}, without random ones of "
            f"{beside}: {_verdict(row)}."
        )
    if said:
        said.append(
            f"Each p compares a class with {draws} random sets of equal number or {of_energy} of equal energy. "
            f"{BEYOND_CHANCE} {CORRECTED.format(len(CONTROLS) * len(said))}"
        )
    return said


def _row(found: Removed, pairs: LabelledPairs, seed: int) -> dict[str, Any]:
    measured = {
        "whole": found.whole,
        "accuracy": found.own,
        "variance": found.variance,
        "f_score": found.f_score,
    }
    correct = np.stack(list(measured.values())) == pairs.labels
    value = dict(zip(measured, correct.mean(axis=1).tolist(), strict=True))
    draws = dict(zip(measured, resampled_means(correct, pairs.keys, RESAMPLES, seed), strict=True))
    for name, (one, other) in {
        "drop": ("whole", "accuracy"),
        "beyond_variance": ("accuracy", "variance"),
    }.items():
        value[name], draws[name] = value[one] - value[other], draws[one] - draws[other]
    cells = {name: _cell(name, value[name], *interval(draws[name])) for name in value}
    return {
        "modality": found.modality,
        "without": found.without,
        "removed": found.removed,
        "energy": found.energy,
        **cells["whole"],
        **cells["accuracy"],
        **cells["drop"],
        **_beside(found.own, found.random, pairs, ""),
        "removed_energy": found.removed_energy,
        **_beside(found.own, found.equal_energy, pairs, "_energy"),
        **cells["variance"],
        **cells["beyond_variance"],
        **cells["f_score"],
        "majority": float(np.bincount(pairs.labels).max() / len(pairs)),
    }


def _beside(
    own: Int[np.ndarray, " n"], draws: Int[np.ndarray, "r n"], pairs: LabelledPairs, end: str
) -> dict[str, float]:
    """The columns of one kind of random sets, which end in ``end``."""
    random = (draws == pairs.labels).mean(axis=1)
    against = against_random(beyond_chance(own, pairs.labels), beyond_chance(draws, pairs.labels), pairs.keys)
    return {
        **_cell(f"random{end}", float(random.mean()), *np.clip(one_more_draw(random), 0, 1).tolist()),
        **_cell(f"difference{end}", against.difference, against.low, against.high),
        f"p{end}": against.p,
        f"q{end}": np.nan,  # known when the table is whole
        f"detectable{end}": against.detectable,
    }


def _cell(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _with_interval(row: Mapping[Any, Any], name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _verdict(row: Mapping[Any, Any]) -> str:
    """What the class carries beside both kinds of random sets; "more" needs both."""
    found = beside_controls(row, "carries more than", "carries less than", "{:.3f}")
    verdict = class_words(found)
    if list(found) != ["carries more than"]:
        return verdict
    low, high = row["beyond_variance_low"], row["beyond_variance_high"]
    between = f"{low:+.3f} to {high:+.3f}"
    return f"{verdict}; without as many of largest variance accuracy is {row['variance']:.3f} (difference {between})"
