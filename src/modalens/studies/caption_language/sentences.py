"""What the tables of the study of language let one say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from modalens.pairs.modality import many
from modalens.statistics.controls import LEVEL
from modalens.studies.stats.sentences import CORRECTED, capitalised, power_words, q_words

_SHOWN = 8


def statements(tables: Mapping[str, pd.DataFrame], sides: Sequence[str]) -> list[str]:
    """What was found of every kind of word, the words ranked first, and what stands beside both."""
    kinds, words = tables["kinds"], tables["words"]
    said: list[str] = []
    for of_table, sentences in ((kinds, _of_kinds), (words, _of_words)):
        for side in sides:
            said += sentences(of_table[of_table["side"] == side], side)
    for row in tables["control"].to_dict("records"):
        said.append(
            f"Of {row['tests']} tests of {row['table']} {row['found']} find a difference. Where images exchange "
            f"their activity at random, {row['exchanged']:.1f} on average, and any at all in "
            f"{row['exchanged_some']:.0%} of 100 such tables."
        )
    if len(kinds):
        said.append(
            "Captions are matched by their number of words and nothing else: what goes with a kind of word can be due "
            f"to what such captions speak of. {CORRECTED.format(int(kinds['p'].notna().sum()))}"
        )
    return said


def _of_kinds(kinds: pd.DataFrame, side: str) -> Iterator[str]:
    weak = []
    for kind, rows in kinds.groupby("kind", sort=False):
        found = rows[rows["q"] < LEVEL]
        if len(found):
            told = "; ".join(_moved(row) for row in found.to_dict("records"))
            yield f"{capitalised(many(side))}, {_named(rows.iloc[0])}: {told}."
        elif rows["p"].notna().any():
            weak.append((str(kind), float(rows["detectable"].max())))
    if weak:
        names = ", ".join(name for name, _ in weak)
        power = power_words(f"{min(each for _, each in weak):.3f} to {max(each for _, each in weak):.3f}")
        samples = capitalised(many(side))
        yield f"{samples}: no class is told to hold another share of the activity with {names} ({power})."


def _named(row: Any) -> str:
    number = "a" if row["at_least"] == 1 else f"{row['at_least']} or more times a"
    return f"{row['groups']} groups of captions with {number} {row['kind']}"


def _moved(row: Mapping[Any, Any]) -> str:
    return (
        f"{row['class']} features hold {row['having']:.3f} of the activity, {row['lacking']:.3f} in captions as long "
        f"without (difference {row['difference']:+.3f}, {row['difference_low']:+.3f} to {row['difference_high']:+.3f}, "
        f"{q_words(row['q'])})"
    )


def _of_words(words: pd.DataFrame, side: str) -> Iterator[str]:
    for label, rows in words.groupby("class", sort=False):
        found = rows[rows["q"] < LEVEL].sort_values("difference", ascending=False, kind="stable")
        more, less = found[found["difference"] > 0], found[found["difference"] < 0][::-1]
        parts = [
            f"{sign} with {_listed(each[:_SHOWN])}"
            for sign, each in (("more", more), ("less", less))
            if len(each)
        ]
        if parts:
            yield f"On {many(side)} {label} features hold {'; '.join(parts)}."


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(f"{row['word']} ({row['difference']:+.3f})" for row in rows.to_dict("records"))
