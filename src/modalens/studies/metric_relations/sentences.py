"""What the tables of the study of metrics let one say."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from modalens.pairs.modality import many
from modalens.statistics.controls import LEVEL
from modalens.studies.stats.sentences import CORRECTED, capitalised, q_words

_OWN = ("Mono on ", "dominance R")


def statements(tables: Mapping[str, pd.DataFrame], modalities: tuple[str, str]) -> list[str]:
    """How dominance and Mono go with every other metric, and how R and the Shapley share agree."""
    table = tables["correlations"]
    said = list(_of_share(tables, modalities))
    for side in modalities:
        said += _of_metric(table, f"Mono on {many(side)}", f" on {many(side)}")
    for name in ("people: ", "detection of names", "intruder of names"):
        said += _of_others(table, name)
    tests = int(table["p"].notna().sum())
    said.append(
        "Clarity is the mean cosine that EmbSim compares with random samples, so Mono follows it by definition. "
        "Correlations are Spearman's over features, intervals by resampling features on the samples at hand. "
        f"{CORRECTED.format(tests)}"
    )
    return said


def _of_share(tables: Mapping[str, pd.DataFrame], modalities: tuple[str, str]) -> Iterator[str]:
    first = modalities[0]
    pairs = tables["pairs"].iloc[0]
    if not pairs["pairs"]:
        yield "No pair has a feature that fires on both sides, so nothing has a Shapley share."
        return
    yield (
        f"Of what moves the similarity of a pair away from that of mean samples, the {first} side holds "
        f"{pairs['share']:.3f} ({pairs['share_low']:.3f} to {pairs['share_high']:.3f}; 0.5 is half)."
    )
    row = _between(tables["correlations"], "dominance R", f"Shapley share of {many(first)}")
    if row is not None:
        yield f"Dominance and the Shapley share of the {first} side: {_told(row)}."
    features = tables["features"]
    idle = int(features[f"Shapley share of {many(first)}"].isna().sum())
    if idle:
        yield (
            f"{idle} of {len(features)} live features add nothing to the similarity of any pair, since one side never "
            "fires; they have no share."
        )
    told = [_of_class(each) for each in tables["shares"].to_dict("records") if each["class"] != "all"]
    yield (
        f"{'; '.join(told)}. R says which side is larger, the share which side varies more for its size; multiplying "
        "one modality by a constant moves R and not the share."
    )


def _of_class(row: Mapping[Any, Any]) -> str:
    return (
        f"{row['class']} features have R {row['dominance']:.2f} and share {row['share']:.2f} "
        f"({row['share_low']:.2f} to {row['share_high']:.2f}), and on {row['agree']:.0%} of {row['features']} both "
        "name the same side"
    )


def _of_metric(table: pd.DataFrame, name: str, side: str) -> Iterator[str]:
    """A metric beside every other one on the same side."""
    rows = table[((table["first"] == name) | (table["second"] == name)) & table["spearman"].notna()]
    parts = []
    for row in rows.to_dict("records"):
        other = row["second"] if row["first"] == name else row["first"]
        if other.endswith(side):
            parts.append(f"{other.removesuffix(side)} {_told(row)}")
    if parts:
        yield f"{name} with {'; '.join(parts)}."


def _of_others(table: pd.DataFrame, start: str) -> Iterator[str]:
    """Names' scores and people's answers beside dominance and Mono."""
    for name in dict.fromkeys([*table["first"], *table["second"]]):
        if not name.startswith(start):
            continue
        rows = table[((table["first"] == name) | (table["second"] == name)) & table["spearman"].notna()]
        told = []
        for row in rows.to_dict("records"):
            other = row["second"] if row["first"] == name else row["first"]
            if other.startswith(_OWN):
                told.append(f"{other} {_told(row)}")
        if told:
            yield f"{capitalised(name)} with {'; '.join(told)}."


def _between(table: pd.DataFrame, first: str, second: str) -> Mapping[Any, Any] | None:
    rows = table[(table["first"] == first) & (table["second"] == second) & table["spearman"].notna()]
    return rows.iloc[0].to_dict() if len(rows) else None


def _told(row: Mapping[Any, Any]) -> str:
    weak = "" if row["q"] < LEVEL else ", not told from 0"
    return (
        f"{row['spearman']:.2f} ({row['spearman_low']:.2f} to {row['spearman_high']:.2f}, {row['features']} features, "
        f"{q_words(row['q'])}{weak})"
    )
