"""How interpretable features are, class by class, as tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from modalens.interpret import PUBLISHED, PublishedInterpretability
from modalens.report.data import DictionaryBaseline, EncoderResult, InterpretedResult, ReportData

METRICS = {"mono": "Mono", "embsim": "EmbSim", "winrate": "WinRate"}
# What the published numbers were measured on.
_PUBLISHED_ON = ("image", "text")
VERDICTS = ("split", "private", "unclear")


def names(data: ReportData) -> list[str]:
    """Names of the interpreted representations, in the main encoder's order."""
    return [each.name for each in data.main.interpreted]


def find(encoder: EncoderResult, name: str) -> InterpretedResult | None:
    """An encoder's interpreted representation of a name, or a baseline of one."""
    return next((each for each in encoder.all_interpreted if each.name == name), None)


def trained(data: ReportData) -> list[str]:
    """Names of the main encoder's representations whose Mono was followed along training."""
    return [each.name for each in data.main.interpreted if each.along is not None and len(each.along)]


def interpreted(data: ReportData) -> Iterator[tuple[str, EncoderResult, InterpretedResult]]:
    """Every representation's name with every encoder that has it, the baselines of dictionaries too."""
    for name in [each.name for each in data.main.all_interpreted]:
        for encoder in data.encoders:
            if (found := find(encoder, name)) is not None:
                yield name, encoder, found


def published(data: ReportData) -> Mapping[str, PublishedInterpretability]:
    """What papers report of CLIP, by model; nothing beside other modalities."""
    return PUBLISHED if data.modalities == _PUBLISHED_ON else {}


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
        for found in encoder.all_interpreted
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
        for found in encoder.all_interpreted
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
    for each in data.main.all_interpreted:
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
        averages.append(_labelled(found.fidelity.averages_frame(), about))
        fidelities.append(_labelled(found.fidelity.fidelity_frame(), about))
    along = [
        _labelled(found.along.copy(), {"representation": name, "encoder": encoder.name})
        for name, encoder, found in interpreted(data)
        if found.along is not None and len(found.along)
    ]
    if along:
        along += [_at_the_end(each, data) for each in data.main.dictionaries if each.interpreted is not None]
    return {
        "monosemanticity_along_training": pd.concat(along, ignore_index=True) if along else pd.DataFrame(),
        "monosemanticity": pd.concat(averages, ignore_index=True),
        "fidelity": pd.concat(fidelities, ignore_index=True),
        "verdicts": pd.DataFrame(verdict_rows(data)),
        "published_monosemanticity": pd.DataFrame(
            [{"model": name, **vars(row)} for name, row in published(data).items()]
        ),
    }


def _at_the_end(each: DictionaryBaseline, data: ReportData) -> pd.DataFrame:
    """What a baseline scores at the last step of its training, as the rows of those that were followed along it."""
    step = each.learned.log[-1]["step"] if each.learned.log else 0  # 0: fitted
    found = () if each.interpreted is None else each.interpreted.fidelity.averages
    rows = [
        {
            "step": step,
            "modality": average.modality,
            "metric": average.metric,
            **{name: getattr(average, name) for name in ("features", "mean", "low", "high", "chance")},
        }
        for average in found
        if average.label == "all" and average.metric in METRICS and average.modality in data.modalities
    ]
    frame = pd.DataFrame(rows).rename(columns={"mean": "value"})
    return _labelled(frame, {"representation": each.learned.name, "encoder": data.main.name})


def _labelled(frame: pd.DataFrame, about: dict[str, Any]) -> pd.DataFrame:
    for place, (name, value) in enumerate(about.items()):
        frame.insert(place, name, value)
    return frame
