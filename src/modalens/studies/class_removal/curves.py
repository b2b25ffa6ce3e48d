"""What a class costs per feature and per unit of energy, and accuracy against the number of removed features.

Classes differ in size tenfold and more, so that what a whole class costs says little; at equal numbers they compare.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.edit import IndexSet, equal_energy_sets, random_sets
from modalens.statistics.buckets import resampled_means
from modalens.statistics.intervals import interval
from modalens.studies.stats.heldout import LabelledPairs

RESAMPLES = 500
CLASS, RANDOM, EQUAL_ENERGY = "class", "random", "equal energy"
_STEPS = (1, 2, 5)
_HUNDRED = 100


@dataclass(frozen=True, eq=False)
class Point:
    """Sets of one size whose removal is averaged.

    Attributes
    ----------
    of
        The class; empty for random features of all live ones.
    kind
        Random parts of the class, random features, or random features with the mean energy of these parts.
    number
        Removed features of the class or of the random sets; for equal energy those of the parts they stand beside.
    members
        The sets.
    """

    of: str
    kind: str
    number: int
    members: Sequence[IndexSet]


def curve_points(
    sets: Sequence[IndexSet],
    live: Int[np.ndarray, " k"],
    energy: Float[np.ndarray, " f"],
    draws: int,
    seed: int,
) -> list[Point]:
    """The sets behind the curves of one modality: every class, random features, and random ones of equal energy."""
    found: list[Point] = []
    numbers = _numbers([len(each) for each in sets])
    for each in sets:
        for number in (number for number in numbers if number <= len(each)):
            parts = random_sets(each.indices, number, 1 if number == len(each) else draws, seed)
            target = float(np.mean([energy[part.indices].sum() for part in parts]))
            found.append(Point(each.name, CLASS, number, parts))
            beside = equal_energy_sets(live, energy, target, draws, seed)
            found.append(Point(each.name, EQUAL_ENERGY, number, beside))
    found += [Point("", RANDOM, number, random_sets(live, number, draws, seed)) for number in numbers]
    return found


def _numbers(sizes: Sequence[int]) -> list[int]:
    """1, 2, 5, 10 and so on up to the largest class from a tenth of the smallest, and the size of every class."""
    if not sizes:
        return []
    least, most = max(1, min(sizes) // 10), max(sizes)
    steps = (step * 10**power for power in range(8) for step in _STEPS)
    return sorted({*sizes, *(number for number in steps if least <= number <= most)})


def curve_table(
    modality: str,
    points: Sequence[Point],
    predicted: Int[np.ndarray, "s n"],
    whole: Int[np.ndarray, " n"],
    energy: Float[np.ndarray, " f"],
    pairs: LabelledPairs,
    seed: int,
) -> pd.DataFrame:
    """One row a point.

    Returns
    -------
    DataFrame
        ``modality``, ``without`` (the class), ``kind``, ``removed`` features and the share of the modality's
        ``energy`` that the sets hold on average, and what accuracy loses against all features, ``drop``: mean over sets
        with the 95 % interval of a bootstrap over test pairs.
    """
    rows, start = [], 0
    for point in points:
        own = predicted[start : start + len(point.members)]
        start += len(point.members)
        lost = (whole == pairs.labels).astype(float) - (own == pairs.labels).mean(axis=0)
        low, high = interval(resampled_means(lost[None], pairs.keys, RESAMPLES, seed)[0])
        shares = [energy[each.indices].sum() / max(energy.sum(), 1e-300) for each in point.members]
        rows.append(
            {
                "modality": modality,
                "without": point.of,
                "kind": point.kind,
                "removed": point.number,
                "energy": float(np.mean(shares)),
                "drop": float(lost.mean()),
                "drop_low": low,
                "drop_high": high,
            }
        )
    return pd.DataFrame(rows)


def per_unit_table(removal: pd.DataFrame) -> pd.DataFrame:
    """What every class costs per 100 removed features and per tenth of the energy, beside random sets.

    Parameters
    ----------
    removal
        See :func:`modalens.studies.class_removal.table.removal_table`.

    Returns
    -------
    DataFrame
        One row a modality and class: ``per_100`` is the drop of accuracy per 100 features with its interval, beside
        that of ``random_per_100`` features; ``per_tenth`` the drop per tenth of the modality's energy, beside random
        sets of equal energy.
    """
    rows = []
    for row in removal.to_dict("records"):
        hundreds, tenths = row["removed"] / _HUNDRED, 10 * row["energy"]
        found = {"modality": row["modality"], "without": row["without"], "removed": row["removed"]}
        found["energy"] = row["energy"]
        for name, by in (("per_100", hundreds), ("per_tenth", tenths)):
            beside = row["random" if name == "per_100" else "random_energy"]
            for end in ("", "_low", "_high"):
                found[f"{name}{end}"] = row[f"drop{end}"] / by if by else np.nan
            found[f"random_{name}"] = (row["whole"] - beside) / by if by else np.nan
        rows.append(found)
    return pd.DataFrame(rows)


def curve_statements(curves: pd.DataFrame) -> Iterator[str]:
    """For each modality, what as many features of every class cost as the smallest class has."""
    for modality, rows in curves.groupby("modality", sort=False) if len(curves) else ():
        classes = rows[rows["kind"] == CLASS]
        number = int(classes.groupby("without")["removed"].max().min())
        at = rows[rows["removed"] == number]
        told = ", ".join(_lost(row, row["without"]) for row in at[at["kind"] == CLASS].to_dict("records"))
        random = _lost(at[at["kind"] == RANDOM].to_dict("records")[0], "random")
        yield (
            f"With {number:,} {'feature' if number == 1 else 'features'} of each class removed, {modality} accuracy "
            f"loses {told} features, and {random} ones."
        )


def _lost(row: Mapping[Any, Any], name: object) -> str:
    return f"{row['drop']:.3f} ({row['drop_low']:.3f} to {row['drop_high']:.3f}) without {name}"
