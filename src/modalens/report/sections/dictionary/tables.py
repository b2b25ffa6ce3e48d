"""Learned features and the dictionaries they are held against, one row each."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from modalens.dominance import Dominance
from modalens.edit.index_sets import CLASS
from modalens.report.data import InterpretedResult, LearnedResult, ReportData

RAW = "Raw"
# What studies say of a row, by column: a head with the names of the modalities in it.
STUDIED = {
    "removal_first": "{first} accuracy lost without {first}-dominant features",
    "removal_second": "{second} accuracy lost without {second}-dominant features",
    "gender_first": "change of {first} accuracy on gender without {first}-dominant features",
    "gender_second": "change of {second} accuracy on gender without {second}-dominant features",
    "l2m": "L2M without one-sided features",
}


def compared(data: ReportData) -> list[LearnedResult]:
    """The learned features that have baselines."""
    of = {each.of for each in data.main.dictionaries}
    return [each for each in data.main.learned if each.name in of]


def interpreted(data: ReportData, name: str) -> InterpretedResult | None:
    """How interpretable the features of a name are."""
    return next((each for each in data.main.all_interpreted if each.name == name), None)


def members(data: ReportData) -> Iterator[tuple[str, LearnedResult | None, bool]]:
    """Every row: a name, the features (None for the embeddings' own dimensions), and whether they are no baseline."""
    for own in compared(data):
        yield own.name, own, True
        for each in data.main.dictionaries:
            if each.of == own.name:
                yield each.learned.name, each.learned, False
    yield RAW, None, False


def rows(data: ReportData) -> list[dict[str, Any]]:
    """One row for each: what it leaves unexplained, Mono, classes and verdicts, and what studies found."""
    found = []
    for name, learned, is_own in members(data):
        scores = data.main.scores(data.estimator) if learned is None else learned.scores(data.estimator)
        row: dict[str, Any] = {"features": name, "own": is_own}
        row |= _classes(scores, data) | _quality(learned) | _meaning(interpreted(data, name), data)
        found.append(row | _studies(data, name))
    return found


def dictionary_tables(data: ReportData) -> dict[str, pd.DataFrame]:
    """The table by file name."""
    return {"dictionary_baselines": pd.DataFrame(rows(data)).drop(columns="own")}


def _classes(scores: Dominance | None, data: ReportData) -> dict[str, Any]:
    if scores is None:
        return {}
    counts = scores.counts("twofold")
    first, second = data.modalities
    live = sum(count for label, count in counts.items() if label != "dead")
    return {"live": live, "dead": counts["dead"], "one_sided": counts[first] + counts[second]}


def _quality(learned: LearnedResult | None) -> dict[str, Any]:
    if learned is None or not learned.quality:
        return {}
    quality = list(learned.quality.values())[-1]
    row: dict[str, Any] = {}
    for side, (value, low, high) in quality.fvu.items():
        row |= {f"fvu_{side}": value, f"fvu_{side}_low": low, f"fvu_{side}_high": high}
    k = min(quality.after.image_to_text)
    value, low, high = quality.after.image_to_text[k]
    return row | {"recall": value, "recall_low": low, "recall_high": high}


def _meaning(found: InterpretedResult | None, data: ReportData) -> dict[str, Any]:
    if found is None:
        return {}
    row: dict[str, Any] = {}
    for role, side in zip(("first", "second"), data.modalities, strict=True):
        average = found.fidelity.average("mono", side)
        row |= {
            f"mono_{role}": average.mean,
            f"mono_{role}_low": average.low,
            f"mono_{role}_high": average.high,
        }
        row[f"mono_{role}_chance"] = average.chance
    for verdict in ("split", "private"):
        row[verdict] = sum(counts[verdict] for counts in found.verdicts.values())
        row[f"{verdict}_shuffled"] = sum(counts[verdict] for counts in found.shuffled_verdicts.values())
    return row


def _studies(data: ReportData, name: str) -> dict[str, Any]:
    """What removal, gender and closing the gap found, where they were run."""
    row: dict[str, Any] = {}
    for study in data.studies:
        if (study.features, study.encoder) != (name, data.main.name):
            continue
        tables = study.result.tables
        for role, side in zip(("first", "second"), data.modalities, strict=True):
            table = tables.get("removal")
            if table is not None and {"modality", "without", "drop"} <= {*table.columns}:
                row |= _cell(
                    table[(table["modality"] == side) & (table["without"] == side)], "drop", f"removal_{role}"
                )
            if study.result.name == "gender":
                row |= _gender(tables.get("accuracy"), side, f"gender_{role}")
        table = tables.get("sets")
        if table is not None and study.result.name == "close-gap":
            row |= _cell(
                table[(table["set"] == "one-sided") & (table["kind"] == "class")], "l2m_unbiased", "l2m"
            )
    return row


def _gender(table: pd.DataFrame | None, side: str, name: str) -> dict[str, float]:
    """The change of accuracy without a side's own class, at the largest size that classes were compared at."""
    if table is None or not {"input", "without", "kind", "removed", "change"} <= {*table.columns}:
        return {}
    own = table[(table["input"] == side) & (table["without"] == side) & (table["kind"] == CLASS)]
    return _cell(own.sort_values("removed").tail(1), "change", name)


def _cell(found: pd.DataFrame, column: str, name: str) -> dict[str, float]:
    """One value of a one-row table, with its interval."""
    if not len(found):
        return {}
    return {f"{name}{end}": float(found[f"{column}{end}"].iloc[0]) for end in ("", "_low", "_high")}
