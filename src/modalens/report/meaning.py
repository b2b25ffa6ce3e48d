"""How interpretable features are, class by class: tables and sentences beside chance and baselines."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from modalens.interpret import PUBLISHED
from modalens.report.data import EncoderResult, InterpretedResult, ReportData
from modalens.report.naming import capitalised, count, interval, listing, number

METRICS = {"mono": "Mono", "embsim": "EmbSim", "winrate": "WinRate"}
VERDICTS = ("split", "private", "unclear")


def names(data: ReportData) -> list[str]:
    """Names of the interpreted representations, in the main encoder's order."""
    return [each.name for each in data.main.interpreted]


def find(encoder: EncoderResult, name: str) -> InterpretedResult | None:
    """An encoder's interpreted representation of a name."""
    return next((each for each in encoder.interpreted if each.name == name), None)


def trained(data: ReportData) -> list[str]:
    """Names of the main encoder's representations whose Mono was followed along training."""
    return [each.name for each in data.main.interpreted if each.along is not None and len(each.along)]


def interpreted(data: ReportData) -> Iterator[tuple[str, EncoderResult, InterpretedResult]]:
    """Every representation's name with every encoder that has it."""
    for name in names(data):
        for encoder in data.encoders:
            if (found := find(encoder, name)) is not None:
                yield name, encoder, found


def average_rows(encoder: EncoderResult, modalities: tuple[str, str]) -> list[dict[str, Any]]:
    """One row for each representation and class of an encoder: averages of the metrics in both modalities."""
    return [
        {
            "features": found.name,
            "label": label,
            "averages": [
                found.fidelity.average(metric, side, label) for side in modalities for metric in METRICS
            ],
        }
        for found in encoder.interpreted
        for label in ("all", modalities[0], "cross", modalities[1])
    ]


def fidelity_rows(encoder: EncoderResult, modalities: tuple[str, str]) -> list[dict[str, Any]]:
    """One row for each representation of an encoder: visual and textual fidelity by metric."""
    return [
        {
            "features": found.name,
            "fidelities": [
                found.fidelity.fidelity(metric, side) for side in modalities for metric in METRICS
            ],
        }
        for found in encoder.interpreted
    ]


def verdict_rows(data: ReportData) -> list[dict[str, Any]]:
    """One row for each representation, encoder and one-sided class: features by verdict, beside shuffled pairs."""
    rows = []
    for name, encoder, found in interpreted(data):
        for side in data.modalities:
            counts, shuffled = found.verdicts[side], found.shuffled_verdicts[side]
            about = {"features": name, "encoder": encoder.name, "label": side}
            rows.append({**about, **counts, **{f"{verdict}_shuffled": n for verdict, n in shuffled.items()}})
    return rows


def overview_rows(data: ReportData) -> list[dict[str, Any]]:
    """The papers' table: averages over all features, and fidelity, of the main encoder's representations.

    EmbSim is the elementwise form, as published.
    """
    rows = []
    for each in data.main.interpreted:
        fidelity = each.fidelity
        averages = [
            fidelity.average(metric, side)
            for metric in ("embsim_elementwise", "winrate")
            for side in data.modalities
        ]
        fidelities = [
            fidelity.fidelity(metric, side)
            for side in data.modalities
            for metric in ("embsim_elementwise", "winrate")
        ]
        rows.append({"name": each.name, "averages": averages, "fidelities": fidelities})
    return rows


def meaning_tables(data: ReportData) -> dict[str, pd.DataFrame]:
    """The tables by file name; none where nothing was interpreted."""
    if not names(data):
        return {}
    averages, fidelities = [], []
    for name, encoder, found in interpreted(data):
        about = {"representation": name, "encoder": encoder.name, "rule": found.rule}
        averages.append(_told(found.fidelity.averages_frame(), about))
        fidelities.append(_told(found.fidelity.fidelity_frame(), about))
    along = [
        _told(found.along.copy(), {"representation": name, "encoder": encoder.name})
        for name, encoder, found in interpreted(data)
        if found.along is not None and len(found.along)
    ]
    return {
        "monosemanticity_along_training": pd.concat(along, ignore_index=True) if along else pd.DataFrame(),
        "monosemanticity": pd.concat(averages, ignore_index=True),
        "fidelity": pd.concat(fidelities, ignore_index=True),
        "verdicts": pd.DataFrame(verdict_rows(data)),
        "published_monosemanticity": pd.DataFrame(
            [{"model": name, **vars(row)} for name, row in PUBLISHED.items()]
        ),
    }


def meaning_statements(data: ReportData) -> list[str]:
    """What stands out of chance, and what the baselines show as well."""
    sentences = []
    for found in data.main.interpreted:
        for side in data.modalities:
            sentences += _mono_sentence(data, found, side)
        sentences += _fidelity_sentences(data, found)
    return sentences


def verdict_statements(data: ReportData) -> list[str]:
    """How many one-sided features are private, and how many halves of a split concept."""
    sentences = []
    for found in data.main.interpreted:
        totals = {
            verdict: sum(found.verdicts[side][verdict] for side in data.modalities) for verdict in VERDICTS
        }
        one_sided = sum(totals.values())
        if not one_sided:
            sentences.append(f"{found.name} has no one-sided features under {found.rule}.")
            continue
        chance = sum(found.shuffled_verdicts[side]["split"] for side in data.modalities)
        sentences.append(
            f"Of {count(one_sided)} one-sided {found.name} features, {count(totals['split'])} are halves of a split "
            f"concept (with pairs shuffled: {count(chance)}); for {count(totals['private'])} no other half was found "
            f"beyond chance, which calls them private, and {count(totals['unclear'])} stay unclear."
        )
    return sentences


def _mono_sentence(data: ReportData, found: InterpretedResult, side: str) -> list[str]:
    average = found.fidelity.average("mono", side)
    if not average.features:
        return [f"No {found.name} feature fires for enough {side}s to be scored."]
    beside = []
    for baseline in data.baselines:
        other = find(baseline, found.name)
        if other is not None and (there := other.fidelity.average("mono", side)).features:
            beside.append(f"{number(there.mean)} in {baseline.spoken}")
    above = average.low > average.chance
    verdict = "more alike than random ones" if above else "no more alike than random ones"
    rest = f"; it is {listing(beside)}" if beside else ""
    sentence = (
        f"The strongest {side}s of {found.name} features are {verdict}: Mono {number(average.mean)} "
        f"({interval(average.low, average.high)}), by chance {number(average.chance)}{rest}."
    )
    return [sentence]


def _fidelity_sentences(data: ReportData, found: InterpretedResult) -> list[str]:
    sentences = []
    for side, kind in zip(data.modalities, ("visual", "textual"), strict=True):
        fidelity = found.fidelity.fidelity("mono", side)
        if np.isnan(fidelity.value):
            continue
        clear = fidelity.low > 0 or fidelity.high < 0
        means = (
            f"features of the {side} side mean {'more' if fidelity.value > 0 else 'less'} in {side}s than those of "
            "the other side"
            if clear
            else f"no clear difference between the classes in {side}s"
        )
        sentences.append(
            f"{capitalised(kind)} fidelity of {found.name} is {number(fidelity.value)} "
            f"({interval(fidelity.low, fidelity.high)}; with classes permuted "
            f"{interval(fidelity.null_low, fidelity.null_high)}): {means}."
        )
    return sentences


def _told(frame: pd.DataFrame, about: dict[str, Any]) -> pd.DataFrame:
    for place, (name, value) in enumerate(about.items()):
        frame.insert(place, name, value)
    return frame
