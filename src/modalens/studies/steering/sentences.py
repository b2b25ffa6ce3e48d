"""What the tables of the steering study let one say."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from modalens.pairs.modality import many
from modalens.statistics.controls import LEVEL
from modalens.studies.stats.sentences import CORRECTED, counted_features, power_words, q_words
from modalens.studies.steering.classes import ENDS, GAP, RETRIEVAL
from modalens.studies.steering.config import SteerConfig


def statements(
    shares: pd.DataFrame, doses: pd.DataFrame, classes: pd.DataFrame, config: SteerConfig
) -> Iterator[str]:
    """For each side and reader how many features are steerable, what else moves, and what scaling a class does."""
    for (side, reader), rows in shares.groupby(["side", "reader"], sort=False):
        own, chance = rows.to_dict("records")
        yield (
            f"{own['steerable']} of {own['number']} features, {_span(own, 'share', '{:.0%}')}, "
            f"move {many(str(side))} to their label by the {reader} more than random directions of equal norm and "
            f"other features of equal energy do; of as many random directions {chance['steerable']}, "
            f"{_span(chance, 'share', '{:.0%}')}."
        )
    middle = config.doses[(len(config.doses) - 1) // 2]
    at = doses[doses["dose"] == middle]
    for side in dict.fromkeys(map(str, at["side"])):
        rows, told = at[at["side"] == side], []
        for measure in dict.fromkeys(map(str, rows["measure"])):
            of = rows[rows["measure"] == measure]
            values = {row["of"]: _span(row, "value", "{:+.3f}") for row in of.to_dict("records")}
            told.append(
                f"{_WORDS.get(measure, measure)} {values['features']}, random directions "
                f"{values['random directions']}"
            )
        yield f"At a dose of {middle:g} on {many(side)}, mean over features: {'; '.join(told)}."
    yield from _of_classes(classes)


# What the doses' measures are called in sentences.
_WORDS = {
    "retrieved": "share of the label among the nearest 10",
    "kept": "share of unrelated queries whose partner is among the nearest 10",
    "zero-shot classes": "share read as the label by the zero-shot classes",
    "probe": "share read as the label by the probe",
}
_MEASURES = {"zero_shot": "zero-shot accuracy", "probe": "probe accuracy", RETRIEVAL: "R@10"}


def _of_classes(classes: pd.DataFrame) -> Iterator[str]:
    tests = 0
    for row in classes.to_dict("records") if len(classes) else ():
        if row["measure"] == GAP:
            continue
        tests += len(ENDS)
        if row["measure"] != RETRIEVAL or row["gain"] != classes["gain"].max():
            continue
        beside = " and ".join(
            f"{row[f'random{end}']:.3f} with random {'features' if end == '_energy' else 'directions'} of {name} "
            f"({_told(row, end)})"
            for end, name in ENDS.items()
        )
        yield (
            f"With the {counted_features(row['features'], row['class'])} times {row['gain']:g} "
            f"{_MEASURES[RETRIEVAL]} goes from {row['whole']:.3f} to {_span(row, 'value', '{:.3f}')}, beside {beside}."
        )
    if tests:
        yield CORRECTED.format(tests)


def _told(row: Mapping[Any, Any], end: str) -> str:
    q = row[f"q{end}"]
    power = "" if q < LEVEL or q != q else f"; {power_words('{:.3f}'.format(row[f'detectable{end}']))}"
    return q_words(q) + power


def _span(row: Mapping[Any, Any], name: str, form: str) -> str:
    low, high = (form.format(row[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{form.format(row[name])} ({low} to {high})"
