"""What the tables of closing the gap carry, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import RANDOM, VARIANCE
from modalens.statistics.controls import LEVEL
from modalens.studies.gap_closing.evaluation import KINDS, MEAN_DIFFERENCE, MEANS, NOTHING
from modalens.studies.gap_closing.measures import DIRECTED, recall_name
from modalens.studies.stats.sentences import CORRECTED, counted_features, power_words, q_words

ALL_ONE_SIDED = "one-sided"
_RANK = 10
_RANDOM = "random features "
_CONTROLS = {
    KINDS[RANDOM]: f"{_RANDOM}of equal count",
    KINDS[EQUAL_ENERGY]: f"{_RANDOM}of equal energy",
}
_Row = Mapping[str, Any]
# By measure and kind of random sets.
_Tests = Mapping[str, Mapping[str, _Row]]


def statements(table: pd.DataFrame, tests: pd.DataFrame, config: Mapping[str, Any]) -> list[str]:
    """Sentences about the table ``sets``, each with its controls.

    Parameters
    ----------
    table, tests
        The tables ``sets`` and ``tests`` of :func:`modalens.studies.gap_closing.study.close_gap`.
    config
        Its settings.
    """
    first, second = config["modalities"]
    names = {"rmg": "RMG"} | {
        recall_name((first, second), side, _RANK): f"R@{_RANK} {' to '.join(both)}"
        for side, both in enumerate(((first, second), (second, first)))
    }
    rows: dict[str, dict[str, _Row]] = {}
    for row in table.to_dict("records"):
        rows.setdefault(row["set"], {})[row["kind"]] = {str(key): value for key, value in row.items()}
    found: dict[str, dict[str, dict[str, _Row]]] = {}
    for test in tests.to_dict("records"):
        of_measure = found.setdefault(test["set"], {}).setdefault(test["measure"], {})
        of_measure[test["control"]] = {str(key): value for key, value in test.items()}
    whole = {kind: rows.pop(kind)[kind] for kind in (NOTHING, MEAN_DIFFERENCE, MEANS)}
    start = "Decoded with nothing" if config["decoded"] else "With nothing"
    beginning = (
        f"{start} removed, {_values(whole[NOTHING], names)}; without the mean difference alone, "
        f"{_values(whole[MEAN_DIFFERENCE], names)}; without both means, {_values(whole[MEANS], names)}."
    )
    said = [beginning]
    if ALL_ONE_SIDED in rows:
        said.append(_published(rows[ALL_ONE_SIDED], found[ALL_ONE_SIDED], whole[NOTHING], names))
        said.append(
            f"{config['one_sided_features']:,} of {config['live_features']:,} live features are one-sided, so random "
            "ones are so in that share too. RMG and separability tell of the gap; L2M and L2I also shrink where "
            "all that is left is alike."
        )
    said += [
        _of_set(name, of_set, found[name], names) for name, of_set in rows.items() if KINDS[RANDOM] in of_set
    ]
    if len(tests):
        said.append(
            f"Each p compares a set with {config['draws']} random ones of a kind. "
            f"{CORRECTED.format(int(tests['q'].notna().sum()))}"
        )
    if config["majority"] is not None:
        said.append(
            f"Zero-shot accuracy reads the nearest class mean of texts; the commonest of {len(config['labels'])} "
            f"labels has {config['majority']:.1%} of the pairs."
        )
    return said


def _published(rows: Mapping[str, _Row], tests: _Tests, nothing: _Row, names: Mapping[str, str]) -> str:
    """Whether the gap goes and retrieval stays, as published of autoencoders that keep paired codes alike."""
    own, variance = _own(rows), rows[KINDS[VARIANCE]]
    rmg, *recalls = names
    closed = own[rmg] < nothing[f"{rmg}_low"]
    passed = [name for kind, name in _CONTROLS.items() if _told(tests[rmg][kind]) < 0]
    failed = [name for name in _CONTROLS.values() if name not in passed]
    beyond = not failed and own[rmg] < variance[f"{rmg}_low"]
    kept = all(own[key] >= nothing[f"{key}_low"] for key in recalls)
    # A chain of what the gap is closed beyond; the first that fails ends it.
    if not closed:
        gap = "RMG does not fall beyond its interval"
    elif failed and passed:
        gap = (
            f"RMG falls further than {passed[0]} take it, but is not told to do so beside those "
            f"{failed[0].removeprefix(_RANDOM)}"
        )
    elif failed:
        gap = "RMG falls, but is not told to fall further than random features take it"
    elif not beyond:
        gap = "RMG falls further than random features take it, but not than as many of largest variance do"
    else:
        gap = "RMG falls further than random features and as many of largest variance take it"
    above = all(_told(tests[key][kind]) > 0 for key in recalls for kind in _CONTROLS)
    least = ", ".join(f"{nothing[f'{key}_low']:.3f} to {nothing[f'{key}_high']:.3f}" for key in recalls)
    retrieval = f"R@{_RANK} does not fall under its intervals with nothing removed ({least})"
    if not kept:
        retrieval = f"R@{_RANK} falls under an interval with nothing removed ({least})"
        retrieval += ", though less far than random features take it" if above else ""
    finding = (
        "is not seen"
        if not (closed and kept)
        else "is seen"
        if beyond
        else "is seen no more than in controls"
    )
    return (
        "Published of autoencoders that keep paired codes alike: without one-sided features the gap collapses and "
        f"retrieval stays. Here {gap}, and {retrieval}: the finding {finding}."
    )


def _of_set(name: str, rows: Mapping[str, _Row], tests: _Tests, names: Mapping[str, str]) -> str:
    """What is left without a set, beside both random controls and the features of largest variance."""
    own = _own(rows)
    parts = (f"{measure} is {_number(own[key])}, {_against(tests[key])}" for key, measure in names.items())
    lost = f" In {1 - own[DIRECTED]:.1%} of pairs nothing is left of a side." if own[DIRECTED] < 1 else ""
    return (
        f"Without the {counted_features(int(own['removed']), name)} ({own['energy']:.1%} of the energy) "
        f"{'; '.join(parts)}. As many features of largest variance: {_values(rows[KINDS[VARIANCE]], names)}.{lost}"
    )


def _against(tests: Mapping[str, _Row]) -> str:
    """Where the set lies beside both kinds of random sets, by corrected p-values."""
    parts = []
    for kind, name in _CONTROLS.items():
        test = tests[kind]
        if np.isnan(test["q"]):
            parts.append(f"not to be compared with {name}")
            continue
        place = "not told from" if not test["q"] < LEVEL else "under" if test["difference"] < 0 else "over"
        power = f"; {power_words(_number(test['detectable']))}" if place == "not told from" else ""
        parts.append(f"{place} {name} ({_number(test['random'])}, {q_words(test['q'])}{power})")
    return f"{parts[0]} and {parts[1].replace(_RANDOM, 'those ')}"


def _told(test: _Row) -> float:
    """The difference to random sets where it is told from them, else 0."""
    return float(test["difference"]) if test["q"] < LEVEL else 0.0


def _own(rows: Mapping[str, _Row]) -> _Row:
    """The row of the set itself: the first, before its controls."""
    return next(iter(rows.values()))


def _values(row: _Row, names: Mapping[str, str]) -> str:
    parts: Sequence[str] = [f"{name} is {_number(row[key])}" for key, name in names.items()]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "not defined"
