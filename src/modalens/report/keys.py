"""The few numbers a reader should take away, each beside its baselines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modalens.dominance import Dominance
from modalens.report.data import ReportData
from modalens.report.naming import Naming, count, interval, number, percent, small


@dataclass(frozen=True)
class KeyNumber:
    """One large number at the head of the page, with what it has to be read beside."""

    name: str
    value: str
    interval: str
    beside: Sequence[tuple[str, str]]
    meaning: str


def key_numbers(data: ReportData) -> list[KeyNumber]:
    """The three or four numbers a reader should take away, each beside its baselines."""
    gap, scores = data.main.gap, data.scores
    naming = Naming(*data.modalities)
    first, second = data.modalities
    rivals = [(each, each.scores(data.estimator)) for each in data.baselines]
    scored = [(each.name, found) for each, found in rivals if found is not None]

    def one_sided(found: Dominance) -> int:
        counts = found.counts("twofold")
        return counts[first] + counts[second]

    null_gap = gap.null.get("l2m_unbiased")
    null_spread = [] if scores.null is None else [("labels swapped", number(float(scores.null.stds.mean())))]
    null_count = (
        []
        if scores.null is None
        else [
            (
                "labels swapped",
                count(sum(scores.null.class_counts["twofold"][name] for name in (first, second))),
            )
        ]
    )
    numbers = [
        KeyNumber(
            "Gap L2M",
            number(gap.l2m_unbiased),
            interval(*gap.intervals.get("l2m_unbiased", (math.nan, math.nan))),
            ([("labels swapped", f"under {number(null_gap[2])}")] if null_gap else [])
            + [(each.name, number(each.gap.l2m_unbiased)) for each in data.baselines],
            f"distance between the mean {first} and the mean {second} embedding, 0 to 2",
        ),
        KeyNumber(
            "Spread of R, σ",
            number(scores.std),
            f"mean {number(scores.mean)}",
            null_spread + [(name, number(found.std)) for name, found in scored],
            f"how far features lean to {first} or {second}, 0 to 0.5",
        ),
        KeyNumber(
            "One-sided features",
            f"{count(one_sided(scores))} of {count(int((~np.isnan(scores.score)).sum()))}",
            ", ".join(
                f"{interval(*scores.count_intervals('twofold')[name], digits=0)} {name}"
                for name in (second, first)
            ),
            null_count + [(name, count(one_sided(found))) for name, found in scored],
            "the share of one side is at least twice the other's (rule twofold)",
        ),
    ]
    if (found := data.main.retrieval) is not None:
        k = min(found.image_to_text)
        value, low, high = found.image_to_text[k]
        others = [
            (each.name, each.retrieval.image_to_text[k][0]) for each in data.baselines if each.retrieval
        ]
        numbers.append(
            KeyNumber(
                f"Retrieval R@{k}",
                percent(value, 1),
                f"{number(100 * low, 1)} to {percent(high, 1)}",
                [("chance", f"{small(100 * found.chance[k], 1)}\u00a0%")]
                + [(name, percent(x, 1)) for name, x in others],
                f"how often the right {naming.one(second)} comes first for a given {naming.one(first)}",
            )
        )
    return numbers
