"""What the difference between two values of an attribute lets one say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from modalens.pairs.modality import many
from modalens.statistics.buckets import resampled_means
from modalens.statistics.intervals import interval
from modalens.studies.attribute_probing.between import (
    ALIKE,
    AS_CONTROLS,
    BOTH,
    DIFFERS,
    NOT_TOLD,
    SAMPLE,
    beyond_control,
    past_swaps,
)
from modalens.studies.attribute_probing.nearest import Design
from modalens.studies.stats.sentences import CONTROLS, power_words, q_words

_RESAMPLES = 1000
_FEWEST = 5  # concepts that a mean over concepts is told of


def between_statements(
    table: pd.DataFrame, of_concepts: pd.DataFrame, plan: Design, concept: str | None, swaps: int
) -> list[str]:
    """Who was compared, each input without its own class, the two sides together, and what the data allow."""
    first, second = plan.values
    each = int(np.bincount(plan.tested.labels).min())
    alike = "" if concept is None else f", as many of each in every {concept}"
    who = (
        f"Between {first} and {second}: {each:,} pairs of each are tested, and references are of as many pairs of "
        f"each{alike}; the nearest reference knows no prior."
    )
    said = [who]
    rows = {(row["input"], row["without"], row["edited"]): row for row in table.to_dict("records")}
    for (side, without, edited), row in rows.items():
        if side == without and edited == ALIKE:
            said.append(_of_side(row, rows[side, without, SAMPLE], swaps))
    said += _over_concepts(of_concepts, concept)
    if (BOTH, "own", ALIKE) in rows:
        said.append(_together(rows[BOTH, "own", ALIKE], rows[BOTH, "own", SAMPLE]))
    return said


def _of_side(row: Mapping[Any, Any], sample: Mapping[Any, Any], swaps: int) -> str:
    beside = "; ".join(
        f"of equal {name.removeprefix('equal ')} {100 * row[f'random{end}']:+.1f} ({q_words(row[f'q{end}'])})"
        for end, name in CONTROLS.items()
    )
    return (
        f"Without {row['without']} features and with references edited alike, {row['first']} {many(row['input'])} "
        f"change by {_points(row, 'change_first')} points and {row['second']} ones by {_points(row, 'change_second')}: "
        f"a difference of {_points(row, 'difference')}; without random features {beside}; with labels swapped at "
        f"random ({swaps} times) {100 * row['swapped_low']:+.1f} to {100 * row['swapped_high']:+.1f}. "
        f"{_verdict(row)} Where only the sample is edited, as published, it is {_points(sample, 'difference')}, with "
        f"labels swapped {100 * sample['swapped_low']:+.1f} to {100 * sample['swapped_high']:+.1f}."
    )


def _verdict(row: Mapping[Any, Any]) -> str:
    if row["verdict"] == NOT_TOLD:
        found = power_words(f"{100 * row['detectable']:.1f} points")
        return f"No difference between the two is told; {found}."
    if row["verdict"] == AS_CONTROLS:
        return f"The two differ, but no more than {_as_much(row)} make them."
    more, less = (row["first"], row["second"]) if row["difference"] < 0 else (row["second"], row["first"])
    return f"The class serves {more} {many(row['input'])} more than {less} ones."


def _as_much(row: Mapping[Any, Any]) -> str:
    """The controls that differ as much, in words."""
    found = [f"random features of {name}" for end, name in CONTROLS.items() if not beyond_control(row, end)]
    return " and ".join([*found, *([] if past_swaps(row) else ["swapped labels"])])


def _together(row: Mapping[Any, Any], sample: Mapping[Any, Any]) -> str:
    claim = f"That {row['first']} and {row['second']} are told by different sides"
    size = f"{_points(row, 'difference')} points between the two sides' differences, references edited alike"
    if row["verdict"] == DIFFERS:
        verdict = "is seen here"
    elif row["verdict"] == AS_CONTROLS:
        verdict = f"is not seen here beyond what {_as_much(row)} do"
    else:
        found = power_words(f"{100 * row['detectable']:.1f} points")
        verdict = f"is not decided by these data, where {found}"
    published = (
        f", where {sample['published']:+.1f} % was published"
        if sample["published"] == sample["published"]
        else ""
    )
    return (
        f"{claim} {verdict}: {size}; where only samples are edited {_points(sample, 'difference')}, in % of the "
        f"accuracy before {sample['relative']:+.1f} ({sample['relative_low']:+.1f} to "
        f"{sample['relative_high']:+.1f}){published}."
    )


def _over_concepts(table: pd.DataFrame, concept: str | None) -> list[str]:
    said = []
    for side, rows in table.groupby("input", sort=False) if len(table) else ():
        values = rows["difference"].to_numpy()
        if len(values) < _FEWEST:
            continue
        low, high = interval(resampled_means(values[None], np.arange(len(values)), _RESAMPLES, 0)[0])
        first = rows["first"].iloc[0]
        said.append(
            f"Over {len(values)} kinds of {concept} with five pairs of each, each counted once, the difference without "
            f"{side} features of {many(str(side))} is {100 * values.mean():+.1f} points ({100 * low:+.1f} to "
            f"{100 * high:+.1f}); "
            f"in {int((values < 0).sum())} of them {first} ones lose more."
        )
    return said


def _points(row: Mapping[Any, Any], name: str) -> str:
    return f"{100 * row[name]:+.1f} ({100 * row[f'{name}_low']:+.1f} to {100 * row[f'{name}_high']:+.1f})"
