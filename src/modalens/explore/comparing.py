"""Two sets of features side by side, as ``modalens compare`` has them: which feature of one is which of the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from modalens.explore.opened import OpenedRun, OpenedSet
from modalens.interpret.matching import FeatureMatch, match_features
from modalens.runs.comparing import CompareConfig, metrics_of, over_seeds
from modalens.runs.matched_features import (
    ACTIVATIONS,
    DECODER,
    DIMENSION,
    MOST_FEATURES,
    changed_of,
    couple_row,
    matched,
    matched_table,
    vectors,
    way_of,
)
from modalens.runs.representations import Representation
from modalens.runs.shared_pairs import Part, parts_of, seedless

_MOST_OF = {DECODER: 8192, ACTIVATIONS: MOST_FEATURES}
_MOST_COUPLES = 20
_SHOWN = 200
_OVER_SEEDS = ("share", "r", "same_class")


@dataclass(frozen=True)
class Side:
    """A set of features and its run."""

    run: OpenedRun
    opened: OpenedSet

    def seeds(self) -> list[Representation]:
        """The set, and those of its run that differ from it in the seed alone."""
        own = self.opened.each
        if own.learned is None:
            return [own]
        model = seedless(own)[0]
        others = [each for each in self.run.sets.values() if each.name != own.name and not each.baseline_of]
        return [own, *(each for each in others if seedless(each)[0] == model)]


def compare(one: Side, other: Side) -> dict[str, Any]:
    """How two sets of features differ on the pairs that both runs share by id.

    Returns
    -------
    dict
        ``pairs`` in common and ``notes``; ``metrics``, a row each with a cell (value, 95 % interval, baseline) for each
        of the ``models``: the two sets, and the mean over seeds of a set that has several; ``couple``, what matched
        features say (None where none can be matched), with ``by_chance`` (how many are matched with the dimensions of
        one decoder, or the pairs of one run, shuffled); ``seeds``, the mean, least and most of that over every couple
        of seeds; ``points`` (R of matched features); ``changed`` and ``moved`` (those whose class or verdict differs,
        the farthest in R first).

    Raises
    ------
    ModalensError
        If the runs share fewer than two pairs, or are of other modalities.
    """
    notes: list[str] = []
    groups = [[(each.run.key, seed) for seed in each.seeds()] for each in (one, other)]
    every = {(key, seed.name): (key, seed) for group in groups for key, seed in group}
    parts = dict(zip(every, parts_of(list(every.values()), notes), strict=True))
    members = [[parts[key, seed.name] for key, seed in group] for group in groups]
    two = members[0][0], members[1][0]
    found = _matched(two, (one.opened, other.opened), notes)
    empty: dict[str, Any] = {"couple": None, "points": None, "changed": 0, "moved": []}
    return {
        "pairs": len(two[0].rows),
        "least": CompareConfig().threshold,
        **(empty if found is None else _said(two, (one.opened, other.opened), *found)),
        **_metrics(two, members),
        "seeds": _over_couples(members),
        "notes": notes,
    }


def _matched(
    parts: tuple[Part, Part], opened: tuple[OpenedSet, OpenedSet], notes: list[str]
) -> tuple[str, FeatureMatch, int | None] | None:
    """How features are matched, which, and how many would be by chance; of very many those of most energy."""
    how, least = way_of(*parts), CompareConfig().threshold
    if how is None:
        return None
    if how == DIMENSION:
        same = matched(*parts, least)
        return None if same is None else (*same, None)
    most = _MOST_OF[how]
    chosen = [_strongest(each, most) for each in opened]
    if max(len(each) for each in chosen) < max(len(each.index) for each in opened):
        notes.append(f"Of more than {most:,} features, the {most:,} of most energy are matched.")
    first, second = vectors(*parts, how, chosen)
    match = match_features(first, second, least)
    kept = FeatureMatch(chosen[0][match.first], chosen[1][match.second], match.cosine)
    return how, kept, len(match_features(first, _shuffled(second, how), least))


def _strongest(opened: OpenedSet, most: int) -> np.ndarray:
    """All features, of more than so many those of most energy."""
    energy = opened.index.column("energy_image") + opened.index.column("energy_text")
    if len(energy) <= most:
        return np.arange(len(energy))
    found: np.ndarray = np.sort(np.argsort(-energy, kind="stable")[:most])
    return found


def _shuffled(values: np.ndarray, how: str) -> np.ndarray:
    """Decoder rows with their dimensions in another order, or activations with the pairs in another."""
    rng = np.random.default_rng(0)
    if how == DECODER:
        return values[:, rng.permutation(values.shape[1])]
    order = rng.permutation(values.shape[1] // 2)
    return np.concatenate([half[:, order] for half in np.split(values, 2, axis=1)], axis=1)


def _said(
    parts: tuple[Part, Part],
    opened: tuple[OpenedSet, OpenedSet],
    how: str,
    match: FeatureMatch,
    by_chance: int | None,
) -> dict[str, Any]:
    table = matched_table(*parts, match)
    changed = changed_of(table)
    far = (changed["first_score"] - changed["second_score"]).abs()
    moved = changed.loc[far.sort_values(ascending=False, kind="stable").index[:_SHOWN]]
    return {
        "couple": {**couple_row(*parts, how, table), "by_chance": by_chance},
        "points": {
            "first": table["first_feature"].to_numpy(),
            "second": table["second_feature"].to_numpy(),
            "likeness": table["likeness"].to_numpy().round(4),
            "scores": [table[f"{side}_score"].to_numpy().round(4) for side in ("first", "second")],
        },
        "changed": len(changed),
        "moved": [_moved(row, opened) for row in moved.to_dict("records")],
    }


def _moved(row: Mapping[Any, Any], opened: tuple[OpenedSet, OpenedSet]) -> dict[str, Any]:
    sides = ("first", "second")
    return {
        **{side: row[f"{side}_feature"] for side in sides},
        "likeness": row["likeness"],
        "labels": [row[f"{side}_class"] for side in sides],
        "verdicts": [row[f"{side}_verdict"] for side in sides],
        "scores": [row[f"{side}_score"] for side in sides],
        "names": [
            str(each.index.column("name")[row[f"{side}_feature"]])
            for side, each in zip(sides, opened, strict=True)
        ],
    }


def _metrics(parts: tuple[Part, Part], members: Sequence[Sequence[Part]]) -> dict[str, Any]:
    """The metrics of both, and the means over the seeds of either, as ``modalens compare`` tells them."""
    every = {part.label: part for part in (*parts, *(part for group in members for part in group))}
    values = pd.DataFrame([row for part in every.values() for row in metrics_of(part)])
    tables = [_one(values, part.label) for part in parts]
    seeds: dict[str, pd.DataFrame] = {}
    for group in members:
        keys = {part.label: part.model(False) for part in group}
        if len(group) > 1:
            mean = over_seeds(values[values["label"].isin(keys)], keys)
            seeds.setdefault(str(mean["model"].iloc[0]), mean)
    every_table = [*tables, *seeds.values()]
    names = list(dict.fromkeys(name for table in every_table for name in table["metric"]))
    cells = [table.set_index("metric")[["value", "low", "high", "baseline"]] for table in every_table]
    return {
        "models": [*(part.label for part in parts), *seeds],
        "metrics": [
            {
                "name": name,
                "is_count": "features (" in name or name.startswith("verdict"),
                "cells": [each.loc[name].to_dict() if name in each.index else None for each in cells],
            }
            for name in names
        ],
    }


def _one(values: pd.DataFrame, label: str) -> pd.DataFrame:
    return values[values["label"] == label]


def _over_couples(members: Sequence[Sequence[Part]]) -> dict[str, Any] | None:
    """Mean, least and most over all couples of seeds; None where there is one couple."""
    labels = [{part.label for part in group} for group in members]
    couples = list(combinations(members[0], 2) if labels[0] == labels[1] else product(*members))
    if len(couples) < 2:
        return None
    rows = []
    for one, other in couples[:_MOST_COUPLES]:
        found = matched(one, other, CompareConfig().threshold)
        if found is not None:
            how, match = found
            row = couple_row(one, other, how, matched_table(one, other, match))
            rows.append({**row, "share": row["matched"] / max(row["of"], 1)})
    if not rows:
        return None
    table = pd.DataFrame(rows)[list(_OVER_SEEDS)]
    return {
        "couples": len(rows),
        **{name: [table[name].mean(), table[name].min(), table[name].max()] for name in _OVER_SEEDS},
    }
