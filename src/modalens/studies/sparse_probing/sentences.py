"""What the bench's tables say."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from modalens.pairs.modality import many
from modalens.statistics.controls import LEVEL
from modalens.studies.sparse_probing.tables import (
    ABSORBED,
    DROP,
    EMBEDDING,
    OTHER_SIDE,
    PROBE,
    SHARED,
    SILENT,
    SPECIFIC,
    SPLIT,
)
from modalens.studies.stats.sentences import power_words


def statements(tables: Mapping[str, pd.DataFrame], modalities: tuple[str, str]) -> Iterator[str]:
    """Sentences on either modality, and on both."""
    means = tables["means"]
    for modality in modalities:
        own = means[means["modality"] == modality]
        if len(own):
            yield from _of_modality(own, tables, modality)
    yield from _on_both(means, tables["alignment"])
    yield f"q is p corrected for all tests of its table (Benjamini-Hochberg); a sentence goes by q under {LEVEL:g}."


def _of_modality(means: pd.DataFrame, tables: Mapping[str, pd.DataFrame], modality: str) -> Iterator[str]:
    numbers = sorted(means.loc[means["measure"] == PROBE, "k"])
    dense = _row(means, EMBEDDING)
    for number in dict.fromkeys((numbers[0], numbers[-1])):
        row, other = _row(means, PROBE, number), _row(means, OTHER_SIDE, number)
        yield (
            f"On {many(modality)} {_features(number)} {'tells' if number == 1 else 'tell'} an attribute with a "
            f"held-out balanced accuracy of {_interval(row)} on average; random ones {row['random']:.3f}, shuffled "
            f"labels {row['chance']:.3f}, a dense probe of the embedding {_interval(dense)}, and "
            f"{'the one' if number == 1 else 'those'} that the other modality picks {_interval(other)}."
        )
    yield _found(tables["probing"], modality, numbers[0], "the probe differs from as many random features")
    split, silent, absorbed = (_row(means, each) for each in (SPLIT, SILENT, ABSORBED))
    yield (
        f"On {many(modality)} {split['value']:.1f} features share an attribute on average ({split['chance']:.1f} with "
        f"shuffled labels). Of the {many(modality)} with an attribute that a dense probe gets right its main features "
        f"are silent on {_interval(silent)}, and one other feature stands in for them on {_interval(absorbed)} "
        f"({absorbed['chance']:.3f} with contributions exchanged)."
    )
    for number in dict.fromkeys((numbers[0], numbers[-1])):
        drop = _row(means, DROP, number)
        told = f"On {many(modality)}, without {_features(number)} of an attribute its probe loses {_interval(drop)}"
        if (means["measure"] == SPECIFIC).any():
            specific = _row(means, SPECIFIC, number)
            told += f", {_interval(specific)} more than probes of other attributes; random features of equal energy "
            told += f"{specific['random']:.3f}"
        yield f"{told}."
    yield _found(
        tables["perturbation"],
        modality,
        numbers[-1],
        "the loss differs from that without random features of equal energy",
    )


def _on_both(means: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    numbers = sorted(means.loc[means["measure"] == SHARED, "k"])
    for number in dict.fromkeys((numbers[0], numbers[-1])):
        row = _row(means, SHARED, number)
        rows = table[table["k"] == number]
        found = int((rows["q"] < LEVEL).sum())
        exchanged = rows["exchanged"].mean()
        told = "" if exchanged != exchanged else f", {exchanged:.3f} between different attributes"
        yield (
            f"Of {'the one feature' if number == 1 else f'the {number} features'} that a modality picks for an "
            f"attribute the other picks {_interval(row)} too ({row['chance']:.3f} with shuffled labels{told}); more "
            f"than by chance for {found} of {len(rows)} attributes (q under {LEVEL:g})."
        )


def _found(table: pd.DataFrame, modality: str, number: int, said: str) -> str:
    rows = table[(table["modality"] == modality) & (table["k"] == number)]
    tested = rows[rows["q"].notna()]
    over, under = (int(((tested["q"] < LEVEL) & (tested["difference"] * sign > 0)).sum()) for sign in (1, -1))
    told = f"With {_features(number)} on {many(modality)} {said} for {over + under} of {len(tested)} attributes, "
    told += f"upwards for {over} (q under {LEVEL:g})"
    if len(tested) > over + under:
        told += f"; on the median attribute {power_words('{:.3f}'.format(tested['detectable'].median()))}"
    return f"{told}."


def _features(number: int) -> str:
    return "one feature" if number == 1 else f"{number} features"


def _row(means: pd.DataFrame, measure: str, k: int = 0) -> Mapping[Any, Any]:
    return means[(means["measure"] == measure) & (means["k"] == k)].to_dict("records")[0]


def _interval(row: Mapping[Any, Any]) -> str:
    return f"{row['value']:.3f} ({row['value_low']:.3f} to {row['value_high']:.3f})"
