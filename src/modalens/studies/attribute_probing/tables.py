"""Tables of an attribute probe, those of the papers among them, and what they let one say."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import CLASS, RANDOM, VARIANCE
from modalens.pairs.modality import many
from modalens.statistics.buckets import resampled_means
from modalens.statistics.controls import LEVEL, against_random, corrected, one_more_draw
from modalens.statistics.intervals import interval
from modalens.studies.attribute_probing.attributes import Attribute, published_change
from modalens.studies.attribute_probing.nearest import Design, Tested
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

ALL = "all"
_WHOLE = "whole"
_RESAMPLES = 500
# What a class has beside random sets of equal number, and of equal energy.
_COMPARED = tuple(
    f"{name}{control}{end}"
    for control in CONTROLS
    for name in (
        "random_change",
        "difference",
        "p",
        "detectable",
        "difference_alike",
        "p_alike",
        "detectable_alike",
    )
    for end in (("", "_low", "_high") if name in ("random_change", "difference") else ("",))
)
_ENDS = tuple(f"{way}{control}" for way in ("", "_alike") for control in CONTROLS)


def accuracy_table(
    measured: Mapping[str, Tested], pairs: LabelledPairs, *, by_value: bool, seed: int
) -> pd.DataFrame:
    """One row for each input and set (and value), controls included.

    Parameters
    ----------
    measured
        What was measured, by input.
    pairs
        The tested pairs.
    by_value
        Whether to have rows for each value, in place of one over ``all``.
    seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        ``kind`` tells a ``class`` from its controls ``random`` (mean of the draws), ``variance`` and
        ``f_score`` of the same number ``removed``, and ``random_energy``, random sets with the energy of the class.
        ``energy`` is the share of the input's squared activity that the set holds.
        ``accuracy``, ``change`` = accuracy - that of the whole, ``relative`` = the change in
        % of the whole, and ``alike`` (the change where the references lose the set too) carry 95 %
        intervals of a bootstrap over groups. A class also has ``random_change``, the mean change of random
        sets of its size, with the interval in which one more would fall; ``difference`` to them, in accuracy
        beyond chance (:func:`~modalens.studies.stats.heldout.beyond_chance`), under 0 where the class carries more
        than its size; two-sided p-values of the hypothesis that the class is one more random set, ``p`` of
        ``change`` and ``p_alike`` of ``alike``; ``q`` and ``q_alike``, corrected for all of the table; and
        ``detectable`` and ``detectable_alike``, the smallest difference in accuracy beyond chance that each test finds
        with power .8. Columns that end in ``_energy`` are the same beside random sets of equal energy.
    """
    rows: list[dict[str, Any]] = []
    for modality, found in measured.items():
        parts = [(ALL, np.ones(len(pairs), dtype=bool))]
        if by_value:
            parts = [(value, pairs.labels == number) for number, value in enumerate(pairs.names)]
        for value, part in parts:
            rows += _rows(modality, value, found, part, pairs, seed)
    table = pd.DataFrame(rows)
    table[[f"q{end}" for end in _ENDS]] = corrected(table[[f"p{end}" for end in _ENDS]].to_numpy())
    return table


def changes_by_input(
    overall: pd.DataFrame, attribute: Attribute, modalities: tuple[str, str]
) -> pd.DataFrame:
    """The papers' first table: change in % for each input, without each one-sided class and random features."""
    size = overall.loc[overall["kind"] == CLASS, "removed"].max()
    table = overall[overall["removed"] == size]
    rows = []
    for source, published in (("here", False), ("published", True)):
        for modality in modalities:
            row: dict[str, Any] = {"source": source, "input": modality}
            for without in (*modalities, RANDOM):
                found = (
                    _published(attribute, modality, ALL, without)
                    if published
                    else _cells(table[(table["input"] == modality) & (table["without"] == without)])
                )
                row |= {f"without_{without}{end}": number for end, number in found.items()}
            rows.append(row)
    return _with_numbers(rows)


def changes_by_value(
    by_value: pd.DataFrame, attribute: Attribute, modalities: tuple[str, str]
) -> pd.DataFrame:
    """The papers' second table: change in % for each value, each input without its own class."""
    rows = []
    for source, published in (("here", False), ("published", True)):
        for value in by_value["value"].unique():
            row: dict[str, Any] = {"source": source, "value": value}
            for modality in modalities:
                here = (by_value["input"] == modality) & (by_value["value"] == value)
                own = by_value[here & (by_value["without"] == modality)]
                found = _published(attribute, modality, value, modality) if published else _cells(own)
                row |= {f"{modality}_without_{modality}{end}": number for end, number in found.items()}
            rows.append(row)
    return _with_numbers(rows)


def statements(overall: pd.DataFrame, by_value: pd.DataFrame, plan: Design, draws: int) -> list[str]:
    """One sentence a class and input, one a value where its own class is removed, and what p means."""
    said = []
    commonest = np.bincount(plan.tested.labels).max() / len(plan.tested)
    for row in overall[overall["kind"] == _WHOLE].to_dict("records"):
        said.append(
            f"With all features {100 * row['accuracy']:.0f} % of {many(row['input'])} ("
            f"{100 * row['accuracy_low']:.0f} to {100 * row['accuracy_high']:.0f}) are told right; always naming the "
            f"commonest value gives {100 * commonest:.0f} %."
        )
    classes = overall[overall["kind"] == CLASS].to_dict("records")
    for row in classes:
        beside = overall[overall["input"] == row["input"]]
        of_size = beside[beside["removed"] == row["removed"]]
        random, variance = (of_size[of_size["kind"] == kind].iloc[0] for kind in (RANDOM, VARIANCE))
        as_energetic = beside[beside["without"] == f"{EQUAL_ENERGY} {row['without']}"].iloc[0]
        said.append(
            f"Without {counted_features(row['removed'], row['without'])} ({100 * row['energy']:.0f} % of the "
            f"activity) {row['input']} accuracy changes by {_points(row, 'change')} points, without as many random "
            f"ones by {_points(row, 'random_change')} ({q_words(row['q'])}), without random ones of equal energy by "
            f"{_points(row, 'random_change_energy')} ({q_words(row['q_energy'])}). With references edited alike it "
            f"changes by {_points(row, 'alike')}, without random ones by {_points(random, 'alike')} "
            f"({q_words(row['q_alike'])}), of equal energy by {_points(as_energetic, 'alike')} "
            f"({q_words(row['q_alike_energy'])}), without those of largest variance by {_points(variance, 'alike')}: "
            f"{_verdict(row)}."
        )
    own = by_value[(by_value["kind"] == CLASS) & (by_value["input"] == by_value["without"])].to_dict(
        "records"
    )
    for row in own:
        said.append(
            f"Of {row['value']} {many(row['input'])} without {row['without']} features, accuracy changes by "
            f"{_points(row, 'change')} points (random {_points(row, 'random_change')}, {q_words(row['q'])}; of equal "
            f"energy {_points(row, 'random_change_energy')}, {q_words(row['q_energy'])}); with the references edited "
            f"alike by {_points(row, 'alike')} ({q_words(row['q_alike'])}; of equal energy "
            f"{q_words(row['q_alike_energy'])}): {_beside(row)}."
        )
    said.append(
        "An edit of the input alone also moves all answers towards the reference that is smaller on the removed "
        "features, which raises one value as it lowers another: only what stays when references are edited alike is "
        "a loss of information, and tells values apart."
    )
    tests = " and ".join(str(len(_ENDS) * int((each["kind"] == CLASS).sum())) for each in (overall, by_value))
    said.append(
        f"Each p compares a class with {draws} random sets of its size or energy, over all values or within one. "
        f"{BEYOND_CHANCE} {CORRECTED.format(tests).replace('the table', 'each table')}"
    )
    return said


def _rows(
    modality: str, value: str, found: Tested, part: Bool[np.ndarray, " n"], pairs: LabelledPairs, seed: int
) -> Iterator[dict[str, Any]]:
    keys, places = pairs.keys[part], _places(found)
    right, fair = (
        np.stack(
            [(answers[:, rows][..., part] == pairs.labels[part]).mean(axis=(0, 1)) for _, rows in places]
        )
        for answers in (found.predicted, found.alike)
    )
    beyond, fair_beyond = (
        beyond_chance(answers, pairs.labels)[..., part].mean(axis=0)
        for answers in (found.predicted, found.alike)
    )
    draws = resampled_means(np.concatenate([right, fair]), keys, _RESAMPLES, seed)
    of_right, of_fair = draws[: len(right)], draws[len(right) :]
    whole, of_whole = right[0].mean(), of_right[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = 100 * (right.mean(axis=1) / whole - 1)
        of_relative = 100 * (of_right / of_whole - 1)
    for place, (name, rows) in enumerate(places):
        kind = found.sets[rows[0]].kind
        size = round(float(np.mean([len(found.sets[row]) for row in rows])))
        row = {"input": modality, "value": value, "without": name, "kind": kind, "removed": size}
        row["energy"] = float(found.energy[rows].mean())
        row |= _cell("accuracy", right[place].mean(), *interval(of_right[place]))
        row |= _cell("change", right[place].mean() - whole, *interval(of_right[place] - of_whole))
        row |= _cell("relative", relative[place], *interval(of_relative[place]))
        row |= _cell("alike", fair[place].mean() - whole, *interval(of_fair[place] - of_whole))
        row |= dict.fromkeys(_COMPARED, np.nan)
        if kind == CLASS:
            for control, random in {
                "": _random_of(found, size),
                "_energy": _energetic_as(found, name),
            }.items():
                single = (found.predicted[:, random][..., part] == pairs.labels[part]).mean(
                    axis=(0, 2)
                ) - whole
                against = against_random(beyond[rows[0]], beyond[random], keys)
                alike = against_random(fair_beyond[rows[0]], fair_beyond[random], keys)
                between = np.clip(one_more_draw(single), -whole, 1 - whole).tolist()
                row |= _cell(f"random_change{control}", single.mean(), *between)
                row |= _cell(f"difference{control}", against.difference, against.low, against.high)
                row |= {
                    f"p{control}": against.p,
                    f"detectable{control}": against.detectable,
                    f"difference_alike{control}": alike.difference,
                    f"p_alike{control}": alike.p,
                    f"detectable_alike{control}": alike.detectable,
                }
        yield row


def _random_of(found: Tested, size: int) -> Int[np.ndarray, " r"]:
    """Places of the random sets of one size."""
    return np.array([i for i, each in enumerate(found.sets) if each.kind == RANDOM and len(each) == size])


def _energetic_as(found: Tested, name: str) -> Int[np.ndarray, " r"]:
    """Places of the random sets with the energy of a class."""
    return np.array([i for i, each in enumerate(found.sets) if each.name == f"{EQUAL_ENERGY} {name}"])


def _places(found: Tested) -> list[tuple[str, np.ndarray]]:
    """Name and places of the sets of each row: one, or all random ones of a size."""
    places: dict[tuple[str, str, int], list[int]] = {}
    for place, each in enumerate(found.sets):
        name = RANDOM if each.kind == RANDOM else each.name
        size = 0 if each.kind == EQUAL_ENERGY else len(each)  # those differ in size
        places.setdefault((name, each.kind, size), []).append(place)
    return [(name, np.array(each)) for (name, _, _), each in places.items()]


def _cell(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: float(value), f"{name}_low": low, f"{name}_high": high}


def _cells(rows: pd.DataFrame) -> dict[str, float]:
    """Relative change and interval by the end of their columns' names; none where there is no such row."""
    if rows.empty:
        return dict.fromkeys(("", "_low", "_high"), np.nan)
    return {end: float(rows.iloc[0][f"relative{end}"]) for end in ("", "_low", "_high")}


def _published(attribute: Attribute, modality: str, value: str, without: str) -> dict[str, float]:
    change = published_change(attribute, modality, value, without)
    return {"": change, "_low": np.nan, "_high": np.nan}


def _with_numbers(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows that have a number."""
    table = pd.DataFrame(rows)
    numbers = table.select_dtypes("number")
    return table[numbers.notna().any(axis=1)].reset_index(drop=True)


def _verdict(row: Mapping[Any, Any]) -> str:
    """What the class carries once references are edited alike; "more" needs both kinds of random sets."""
    verdict = _beside(row)
    moved = row["q"] < LEVEL and row["difference"] < 0
    if moved and not min(row["q_alike"], row["q_alike_energy"]) < LEVEL:
        return (
            "more changes than without as many random features, but not once references are edited alike, so that "
            f"answers may only have moved towards one value: {verdict}"
        )
    return verdict


def _beside(row: Mapping[Any, Any]) -> str:
    columns = {f"{name}{end}": row[f"{name}_alike{end}"] for name in ("difference", "q") for end in CONTROLS}
    points = {f"detectable{end}": 100 * row[f"detectable_alike{end}"] for end in CONTROLS}
    found = beside_controls(
        columns | points, "carries more than", "carries less than", "{:.1f} points", most=100
    )
    return class_words(found)


def _points(row: Mapping[Any, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{100 * row[name]:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
