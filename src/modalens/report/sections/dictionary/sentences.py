"""What a trained dictionary has beyond its baselines, in sentences computed from the numbers."""

import math
from typing import Any

from modalens.report.data import ReportData
from modalens.report.naming import (
    Naming,
    are_halves,
    count,
    halves,
    interval,
    listing,
    number,
    number_word,
    percent,
)
from modalens.report.sections.dictionary.tables import RAW, compared, rows


def statements(data: ReportData) -> list[str]:
    """For each set of learned features: Mono, verdicts, reconstruction and removal beside its baselines."""
    naming, found = Naming(*data.modalities), rows(data)
    said = []
    for own in compared(data):
        row = next(each for each in found if each["features"] == own.name)
        rivals = [each for each in found if each["features"] == RAW or _is_of(data, own.name, each)]
        for role, side in zip(("first", "second"), data.modalities, strict=True):
            said += _higher(row, rivals, f"mono_{role}", f"Mono on {naming.many(side)}")
        said += _verdicts(row, rivals)
        said += _unexplained(row, rivals, naming)
        for role, side in zip(("first", "second"), data.modalities, strict=True):
            said += _removal(row, rivals, f"removal_{role}", side)
    return said


def headline(data: ReportData) -> list[tuple[str, str]]:
    """The same in one sentence a set, by its name: what training adds to reconstruction, Mono and splits."""
    if not compared(data):
        return []
    naming, found = Naming(*data.modalities), rows(data)
    said = []
    for own in compared(data):
        row = next(each for each in found if each["features"] == own.name)
        rivals = [each for each in found if _is_of(data, own.name, each)]
        parts = [
            *_least_unexplained(row, rivals, naming),
            *_best_mono(row, rivals, naming),
            *_most_split(row, rivals),
        ]
        if parts:
            beside = f"{number_word(len(rivals))} {'dictionary' if len(rivals) == 1 else 'dictionaries'}"
            said.append(
                (
                    own.name,
                    (
                        f"Beside {beside} of its size that are random in part or not trained, the trained {own.name} "
                        f"has {listing(parts)}."
                    ),
                )
            )
    return said


def _least_unexplained(row: dict[str, Any], rivals: list[dict[str, Any]], naming: Naming) -> list[str]:
    sides = ("fvu_image", "fvu_text")
    known = [each for each in rivals if all(_known(each, side) for side in sides)]
    if not known or not all(_known(row, side) for side in sides):
        return []
    least = min(known, key=lambda each: each["fvu_image"] + each["fvu_text"])
    (first, second), best = ([percent(each[side]) for side in sides] for each in (row, least))
    shares = f"{first} ({naming.many(naming.first)}) and {second} ({naming.many(naming.second)})"
    return [f"{shares} of the variance unexplained (the least of them, {_kind(least)}: {listing(best)})"]


def _best_mono(row: dict[str, Any], rivals: list[dict[str, Any]], naming: Naming) -> list[str]:
    parts = []
    for role, side in (("first", naming.first), ("second", naming.second)):
        name = f"mono_{role}"
        if _known(row, name) and (scored := [each for each in rivals if _known(each, name)]):
            best = max(scored, key=lambda each: each[name])
            parts.append(
                f"a Mono of {number(row[name])} on {naming.many(side)} ({_against(row, best, name)} the best of "
                f"them, {_kind(best)}: {number(best[name])})"
            )
    return parts


def _most_split(row: dict[str, Any], rivals: list[dict[str, Any]]) -> list[str]:
    known = [each for each in rivals if "split" in each]
    if "split" not in row or not known:
        return []
    most = max(known, key=lambda each: each["split"])
    beside = f"{_kind(most)} has {count(most['split'])}" if most["split"] else "they have none"
    return [f"{halves(row['split'])} ({beside})"]


def _known(row: dict[str, Any], name: str) -> bool:
    return not math.isnan(row.get(name, math.nan))


def _is_of(data: ReportData, name: str, row: dict[str, Any]) -> bool:
    return any(each.of == name and each.learned.name == row["features"] for each in data.main.dictionaries)


def _kind(row: dict[str, Any]) -> str:
    return str(row["features"]).rpartition(", ")[2]


def _against(row: dict[str, Any], rival: dict[str, Any], name: str) -> str:
    """How a value lies beside another's, by their intervals: they share their samples, so apart means apart."""
    if row[f"{name}_low"] > rival[f"{name}_high"]:
        return "above"
    if row[f"{name}_high"] < rival[f"{name}_low"]:
        return "below"
    return "within the sampling error of"


def _higher(row: dict[str, Any], rivals: list[dict[str, Any]], name: str, what: str) -> list[str]:
    """Which baselines a value that should be high beats."""
    known = [each for each in rivals if _known(each, name)]
    if not _known(row, name) or not known:
        return []
    grouped: dict[str, list[str]] = {}
    for each in known:
        grouped.setdefault(_against(row, each, name), []).append(f"{_kind(each)} ({number(each[name])})")
    told = [f"{how} that of {listing(names)}" for how, names in grouped.items()]
    value = f"{number(row[name])}, {interval(row[f'{name}_low'], row[f'{name}_high'])}"
    nothing = ""
    dictionaries = [each for each in known if each["features"] != RAW]
    if dictionaries and all(_against(row, each, name) != "above" for each in dictionaries):
        nearest = min(dictionaries, key=lambda each: abs(each[name] - row[name]))
        least = sum((each[f"{name}_high"] - each[f"{name}_low"]) / 2 for each in (row, nearest))
        nothing = (
            ": training the dictionary adds nothing to it that these pairs can tell; the intervals of "
            f"{row['features']} and {_kind(nearest)} would part at a difference of {number(least)}"
        )
    return [f"{what} of {row['features']} ({value}) is {listing(told)}{nothing}."]


def _verdicts(row: dict[str, Any], rivals: list[dict[str, Any]]) -> list[str]:
    known = [each for each in rivals if "split" in each]
    if "split" not in row or not known:
        return []
    beside = listing(
        [f"{count(each['split'])} of {count(each['one_sided'])} of {_kind(each)}" for each in known]
    )
    return [
        (
            f"Of {count(row['one_sided'])} one-sided {row['features']} features "
            f"{are_halves(row['split'])} ({count(row['split_shuffled'])} with pairs shuffled), beside {beside}."
        )
    ]


def _unexplained(row: dict[str, Any], rivals: list[dict[str, Any]], naming: Naming) -> list[str]:
    known = [each for each in rivals if "fvu_image" in each]
    if "fvu_image" not in row or not known:
        return []

    def of(each: dict[str, Any]) -> str:
        return f"{percent(each['fvu_image'])} and {percent(each['fvu_text'])}"

    beside = listing([f"{of(each)} by {_kind(each)}" for each in known])
    return [
        (
            f"{row['features']} leaves {of(row)} of the variance of {naming.many(naming.first)} and "
            f"{naming.many(naming.second)} unexplained, beside {beside}."
        )
    ]


def _removal(row: dict[str, Any], rivals: list[dict[str, Any]], name: str, side: str) -> list[str]:
    known = [each for each in rivals if name in each]
    if name not in row or not known:
        return []
    beside = listing([f"{number(each[name])} of {_kind(each)}" for each in known])
    return [
        (
            f"Without {side}-dominant features of {row['features']} a classifier of {side} samples loses "
            f"{number(row[name])} of accuracy ({interval(row[f'{name}_low'], row[f'{name}_high'])}), beside {beside}."
        )
    ]
