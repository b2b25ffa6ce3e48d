"""What the tables of the study let one say, and no more."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from modalens.edit.index_sets import CLASS
from modalens.statistics.controls import LEVEL
from modalens.studies.stats.sentences import CORRECTED, power_words, q_words
from modalens.studies.text_to_image_control.measures import COLOUR, EDGES, REFERENCE, UNEDITED
from modalens.studies.text_to_image_control.sets import ALL, ENERGY, NUMBER
from modalens.studies.text_to_image_control.sweep import Sweep
from modalens.studies.text_to_image_control.tables import BALANCE, COMPARED

_WORDS = {
    REFERENCE: "cosine to the reference",
    COLOUR: "distance in colours",
    EDGES: "distance in edges",
    UNEDITED: "cosine to the unedited picture",
    BALANCE: "share of the content less that of the surface",
}
# What a slope above and one below that of random sets says.
_READINGS = {
    REFERENCE: ("more of the reference's content", "less of the reference's content"),
    COLOUR: ("less of its colours", "more of its colours"),
    EDGES: ("less of its edges", "more of its edges"),
    UNEDITED: ("a smaller change of the picture", "a larger change of the picture"),
    BALANCE: ("a balance that leans to content", "a balance that leans to surface"),
}
_SPACES = {
    "projected": "In the scored space",
    "token": "On the token vectors, as published (another basis than the scored one)",
}
_Row = Mapping[Any, Any]


def statements(slopes: pd.DataFrame, sweeps: Mapping[str, Sweep], judge: str) -> list[str]:
    """Sentences about the table of slopes, space by space.

    Parameters
    ----------
    slopes, sweeps
        The table, and what it is made of, by space.
    judge
        Who says how alike the content of pictures is.
    """
    sweep = next(iter(sweeps.values()))
    _, _, references, seeds = sweep.values[REFERENCE].shape
    said = [_sizes(sweep)]
    said.insert(
        0,
        f"The prompt is moved towards {references} reference {_plural('image', references)}, with {seeds} "
        f"{_plural('seed', seeds)}; {judge} says how near a picture's content is to the reference's, histograms of "
        "colours and edges how near its surface.",
    )
    if references < 2:
        said.append("One reference gives no interval: nothing is said of other references.")
    for space, rows in slopes.groupby("space", sort=False):
        told = _of_space(rows)
        start = f"{_SPACES[str(space)]}: from" if space in _SPACES else "From"
        said += [f"{start} {told[0]}", *told[1:]]
    if references > 1:
        kinds = {
            by: sum(each.random and each.matched == by for each in sweep.sets) for by in (NUMBER, ENERGY)
        }
        each = " or ".join(f"{count} of equal {by}" for by, count in kinds.items() if count)
        tests = int(slopes["q"].notna().sum())
        said.append(f"Each p compares a class with random sets, {each}. {CORRECTED.format(tests)}")
    return said


def _sizes(sweep: Sweep) -> str:
    """How large the sets are, and how much of the energy they hold, so that it is plain where little can move."""
    total = len(sweep.sets[-1])
    by_number, by_energy = ([each for each in sweep.sets if each.matched == by] for by in (NUMBER, ENERGY))
    said = f"Sets of equal number have {len(by_number[0])} of {total} features"
    if not by_energy:
        return f"{said}."
    held = [each.energy for each in by_number]
    return (
        f"{said} and hold {min(held):.1%} to {max(held):.1%} of the energy; sets of equal energy hold about "
        f"{np.mean([each.energy for each in by_energy]):.1%}, in {min(map(len, by_energy))} to "
        f"{max(map(len, by_energy))} features."
    )


def _of_space(slopes: pd.DataFrame) -> list[str]:
    rows: dict[tuple[str, str, str], _Row] = {
        (row["measure"], row["set"], row["matched"]): row for row in slopes.to_dict("records")
    }
    everything = ", ".join(
        f"{words} changes by {_value(rows[measure, ALL, ''])}"
        for measure, words in _WORDS.items()
        if measure != BALANCE
    )
    said = [f"strength 0 to 1 on all features, {everything}."]
    if (BALANCE, ALL, "") not in rows:
        said.append(
            "All features together do not bring pictures reliably nearer to the references in content, colours and "
            "edges alike, so the content and the surface that a class carries are not set against each other."
        )
    names = slopes.loc[slopes["kind"] == CLASS, "set"].unique().tolist()
    return said + [_of_class(name, rows) for name in names]


def _of_class(name: str, rows: Mapping[tuple[str, str, str], _Row]) -> str:
    """What a class brings beside every kind of random sets it was matched to, and what it is not told in."""
    found, not_told, untested = [], [], []
    for measure in COMPARED:
        beside = {by: rows[measure, name, by] for by in (NUMBER, ENERGY) if (measure, name, by) in rows}
        if not beside:
            continue
        numbers = "; ".join(
            f"of equal {by} {_signed(row['slope'])}, random {_signed(row['random'])}, {q_words(row['q'])}"
            for by, row in beside.items()
        )
        if all(np.isnan(row["p"]) for row in beside.values()):
            untested.append(f"{_WORDS[measure]} ({numbers.replace(f', {q_words(np.nan)}', '')})")
            continue
        signs = {bool(row["difference"] < 0) for row in beside.values()}
        if len(signs) == 1 and all(row["q"] < LEVEL for row in beside.values()):
            found.append(f"{_READINGS[measure][signs.pop()]} ({_WORDS[measure]}: {numbers})")
        else:
            least = " and ".join(
                format(row["detectable"], ".3f") for row in beside.values() if row["detectable"] >= 0
            )
            not_told.append(f"{_WORDS[measure]} ({numbers}{f'; {power_words(least)}' if least else ''})")
    parts = [f"brings {', '.join(found)}"] if found else []
    if not_told:
        parts.append(f"is not told from every kind of random features in {', '.join(not_told)}")
    if untested:
        parts.append(f"changes {', '.join(untested)}")
    return f"The {name} class {'; it '.join(parts)}."


def _value(row: _Row) -> str:
    if np.isnan(row["slope_low"]):
        return _signed(row["slope"])
    return f"{_signed(row['slope'])} ({_signed(row['slope_low'])} to {_signed(row['slope_high'])})"


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
