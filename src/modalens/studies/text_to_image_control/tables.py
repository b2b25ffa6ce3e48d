"""The tables of the study, and what they let one say."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modalens.edit.index_sets import CLASS, RANDOM
from modalens.statistics.controls import LEVEL, corrected
from modalens.studies.stats.sentences import CORRECTED, power_words, q_words
from modalens.studies.text_to_image_control.measures import COLOUR, EDGES, REFERENCE, UNEDITED
from modalens.studies.text_to_image_control.slopes import against_random_sets, mean_of, slope_of
from modalens.studies.text_to_image_control.sweep import ALL, Sweep

CONTENT_SHARE, SURFACE_SHARE, BALANCE = "content_share", "surface_share", "content_less_surface"
_WORDS = {
    REFERENCE: "cosine to the reference",
    COLOUR: "distance in colours",
    EDGES: "distance in edges",
    UNEDITED: "cosine to the unedited picture",
}
_COMPARED = (*_WORDS, BALANCE)
_COMPARISON = ("random", "difference", "difference_low", "difference_high", "p", "detectable")
# What a slope above and one below that of random sets says.
_READINGS = {
    REFERENCE: ("more of the reference's content", "less of the reference's content"),
    COLOUR: ("less of its colours", "more of its colours"),
    EDGES: ("less of its edges", "more of its edges"),
    UNEDITED: ("a smaller change of the picture", "a larger change of the picture"),
    BALANCE: ("a balance that leans to content", "a balance that leans to surface"),
}


def cells_table(sweep: Sweep, seed: int) -> pd.DataFrame:
    """One row a set and strength; random sets are one row, the mean over them.

    Each measure is its mean over references and seeds with a 95 % interval (see
    :func:`~modalens.studies.text_to_image_control.slopes.mean_of`).
    """
    rows = []
    for name, kind, size, members in _rows(sweep):
        for place, strength in enumerate(sweep.strengths):
            row: dict[str, Any] = {"set": name, "kind": kind, "features": size, "strength": strength}
            for measure, values in sweep.values.items():
                row |= _interval(measure, values[members, place].mean(axis=0), seed)
            rows.append(row)
    return pd.DataFrame(rows)


def slopes_table(sweep: Sweep, seed: int) -> pd.DataFrame:
    """One row a measure and set: how much the measure changes from strength 0 to 1, beside random sets.

    ``slope`` is the mean over references and seeds with a 95 % interval. ``random`` is the mean over random
    sets of that size, ``difference`` = slope - random with its 95 % interval, and ``p`` two-sided, of the
    hypothesis that the class is one more random set; ``q`` is ``p`` corrected for all classes being compared in all
    measures that sentences speak of, and ``detectable`` the smallest difference that the test finds with power .8.

    Three measures are made of the others' slopes, each as a share of what all features together do on average:
    ``content_share`` of ``to_reference``, ``surface_share`` the mean of that of ``colour_distance`` and
    ``edge_distance``, and ``content_less_surface`` the difference of the two: above 0 a set carries more of a
    picture's content than of its surface. They are left out where all features together do not bring pictures
    nearer in each of the three (the interval of a slope reaches 0).
    """
    strengths = np.asarray(sweep.strengths)
    slopes = {name: slope_of(values, strengths) for name, values in sweep.values.items()}
    everything = next(number for number, each in enumerate(sweep.sets) if each.kind == ALL)
    slopes |= _shares(slopes, everything, seed)
    random = [number for number, each in enumerate(sweep.sets) if each.kind == RANDOM]
    rows = []
    for measure, values in slopes.items():
        for name, kind, size, members in _rows(sweep):
            own = values[members].mean(axis=0)
            row = {"measure": measure, "set": name, "kind": kind, "features": size}
            row |= _interval("slope", own, seed)
            row |= dict.fromkeys(_COMPARISON, np.nan)
            if kind == CLASS:
                against = against_random_sets(own, values[random], seed)
                row |= {
                    "random": float(values[random].mean()),
                    "difference": against.difference,
                    "difference_low": against.low,
                    "difference_high": against.high,
                    "p": against.p,
                    "detectable": against.detectable,
                }
            rows.append(row)
    table = pd.DataFrame(rows)
    compared = table["measure"].isin(_COMPARED) & table["p"].notna()
    table["q"] = corrected(table["p"].where(compared).to_numpy())
    return table


def statements(slopes: pd.DataFrame, sweep: Sweep, judge: str) -> list[str]:
    """What the slopes let one say, and no more."""
    randoms = sum(each.kind == RANDOM for each in sweep.sets)
    _, _, references, seeds = sweep.values[REFERENCE].shape
    by_key = {(row["measure"], row["set"]): row for row in slopes.to_dict("records")}
    classes = [each for each in sweep.sets if each.kind == CLASS]
    said = [
        (
            f"Each row moves {len(classes[0])} of {len(sweep.sets[-1])} features of the prompt towards {references} "
            f"reference {_plural('image', references)}, with {seeds} {_plural('seed', seeds)}; {judge} says how near a "
            f"picture's content is to the reference's, histograms of colours and edges how near its surface."
        )
    ]
    if references < 2:
        said.append("One reference gives no interval: nothing is said of other references.")
    everything = ", ".join(
        f"{_WORDS[measure]} changes by {_value(by_key[measure, ALL])}" for measure in _WORDS
    )
    said.append(f"From strength 0 to 1 on all features, {everything}.")
    if (BALANCE, ALL) not in by_key:
        said.append(
            "All features together do not bring pictures reliably nearer to the references in content, colours and "
            "edges alike, so the content and the surface that a class carries are not set against each other."
        )
    compared = [measure for measure in _COMPARED if (measure, ALL) in by_key]
    for each in classes:
        said.append(_of_class(each.name, [by_key[measure, each.name] for measure in compared]))
    if references > 1:
        said.append(
            f"Each p compares a class with {randoms} random sets of its size. "
            f"{CORRECTED.format(len(classes) * len(compared))}"
        )
    return said


def _of_class(name: str, rows: Sequence[Mapping[Any, Any]]) -> str:
    numbers = "; ".join(
        f"{_WORDS.get(row['measure'], 'share of the content less that of the surface')} {_signed(row['slope'])} "
        f"({_beside(row)})"
        for row in rows
    )
    if np.isnan(rows[0]["p"]):
        return f"The {name} class: {numbers}."
    found = [_READINGS[row["measure"]][int(row["difference"] < 0)] for row in rows if row["q"] < LEVEL]
    if not found:
        return f"The {name} class: {numbers}: it is not told from random features."
    return f"The {name} class: {numbers}: beside random features it brings {', '.join(found)}."


def _beside(row: Mapping[Any, Any]) -> str:
    random = f"random {_signed(row['random'])}"
    if np.isnan(row["p"]):
        return random
    between = f"{_signed(row['difference_low'])} to {_signed(row['difference_high'])}"
    return f"{random}, difference {between}, {q_words(row['q'])}; {power_words(format(row['detectable'], '.3f'))}"


def _shares(
    slopes: Mapping[str, Float[np.ndarray, "a n r"]], everything: int, seed: int
) -> dict[str, Float[np.ndarray, "a n r"]]:
    """Slopes as shares of the mean slope of all features, where those are reliably towards the reference."""
    whole = {name: mean_of(slopes[name][everything], seed) for name in (REFERENCE, COLOUR, EDGES)}
    nearer = whole[REFERENCE].low > 0 and whole[COLOUR].high < 0 and whole[EDGES].high < 0
    if not nearer:
        return {}
    content = slopes[REFERENCE] / whole[REFERENCE].value
    surface = (slopes[COLOUR] / whole[COLOUR].value + slopes[EDGES] / whole[EDGES].value) / 2
    return {CONTENT_SHARE: content, SURFACE_SHARE: surface, BALANCE: content - surface}


def _rows(sweep: Sweep) -> list[tuple[str, str, int, list[int]]]:
    """Name, kind, size and members of each row of a table, random sets together."""
    random = [number for number, each in enumerate(sweep.sets) if each.kind == RANDOM]
    rows = []
    for number, each in enumerate(sweep.sets):
        if each.kind != RANDOM:
            rows.append((each.name, each.kind, len(each), [number]))
        elif number == random[0]:
            rows.append((RANDOM, RANDOM, len(each), random))
    return rows


def _interval(name: str, values: Float[np.ndarray, "n r"], seed: int) -> dict[str, float]:
    mean = mean_of(values, seed)
    return {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}


def _value(row: Mapping[Any, Any]) -> str:
    if np.isnan(row["slope_low"]):
        return _signed(row["slope"])
    return f"{_signed(row['slope'])} ({_signed(row['slope_low'])} to {_signed(row['slope_high'])})"


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
