"""Which feature of one set is which of another, and what became of R, class and verdict."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modalens.arrays import read_rows
from modalens.interpret.matching import FeatureMatch, match_features
from modalens.runs.choice import RAW
from modalens.runs.shared_pairs import Part

DIMENSION, DECODER, ACTIVATIONS = "dimension", "decoder rows", "activations"
MOST_FEATURES = 4096
"""Activations are compared where features are few enough to hold all correlations."""
_MOST_PAIRS = 4096


def matched(one: Part, other: Part, threshold: float) -> tuple[str, FeatureMatch] | None:
    """How features are matched, and which; None where they cannot be.

    By dimension (embeddings of one width), by decoder rows (dictionaries of the same embeddings), else by activations
    over the shared pairs, up to 4,096 features.
    """
    how = way_of(one, other)
    if how is None:
        return None
    widths = [len(each.mds.score) for each in (one, other)]
    if how == DIMENSION:
        same = np.arange(widths[0])
        return how, FeatureMatch(same, same, np.full(widths[0], np.nan))
    if how == ACTIVATIONS and max(widths) > MOST_FEATURES:
        return None
    first, second = vectors(one, other, how)
    return how, match_features(first, second, threshold)


def way_of(one: Part, other: Part) -> str | None:
    """By what features are matched; None for embeddings of two widths, or embeddings and learned features."""
    raw = [each.each.name == RAW for each in (one, other)]
    if any(raw):
        return DIMENSION if all(raw) and len(one.mds.score) == len(other.mds.score) else None
    decoders = [each.each.directions for each in (one, other)]
    learned_on_one = one.space == other.space and all(each is not None for each in decoders)
    return DECODER if learned_on_one else ACTIVATIONS


def vectors(
    one: Part, other: Part, how: str, chosen: Sequence[Any] = (slice(None), slice(None))
) -> list[Float[np.ndarray, "f d"]]:
    """What the cosine is taken of to match features: decoder rows, or activations without each side's mean.

    Parameters
    ----------
    one, other
        Two parts of the same pairs.
    how
        ``decoder rows`` or ``activations``.
    chosen
        Which features of either.
    """
    if how == DECODER:
        return [
            np.asarray(each.each.directions)[some] for each, some in zip((one, other), chosen, strict=True)
        ]
    pairs = np.unique(np.linspace(0, len(one.rows) - 1, _MOST_PAIRS).astype(int))
    return [_activations(each, pairs, some) for each, some in zip((one, other), chosen, strict=True)]


def _activations(part: Part, pairs: Int[np.ndarray, " k"], chosen: Any) -> np.ndarray:
    """Activations on some pairs, without each side's mean, (f, 2k): their cosines are correlations within sides."""
    sides = []
    for matrix in (part.each.store.image, part.each.store.text):
        block = read_rows(matrix.pick(part.rows[pairs]), 0, len(pairs), "code")[:, chosen]
        dense = np.asarray(block.toarray() if hasattr(block, "toarray") else block, dtype=np.float64)
        sides.append(dense - dense.mean(axis=0))
    return np.concatenate(sides).T


def matched_table(one: Part, other: Part, match: FeatureMatch) -> pd.DataFrame:
    """One row a couple of matched features that both have an R: features, likeness, R, classes and verdicts."""
    a, b = one.mds.score[match.first], other.mds.score[match.second]
    live = ~np.isnan(a) & ~np.isnan(b)
    first, second, likeness = match.first[live], match.second[live], match.cosine[live]
    return pd.DataFrame(
        {
            "first": one.label,
            "second": other.label,
            "first_feature": first,
            "second_feature": second,
            "likeness": likeness,
            "first_score": a[live],
            "second_score": b[live],
            "first_class": one.mds.labels[first],
            "second_class": other.mds.labels[second],
            "first_verdict": one.verdicts[first],
            "second_verdict": other.verdicts[second],
        }
    )


def changed_of(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of matched features whose class or verdict, where both have one, differs."""
    return table[(table["first_class"] != table["second_class"]) | _other_verdict(table)]


def couple_row(one: Part, other: Part, how: str, table: pd.DataFrame) -> dict[str, Any]:
    """What matched features say of two parts; see :attr:`modalens.report.compared.Comparison.couples`."""
    both = (table["first_verdict"] != "") & (table["second_verdict"] != "")
    same = table["first_class"] == table["second_class"]
    return {
        "first": one.label,
        "second": other.label,
        "how": how,
        "matched": len(table),
        "of": min(int((~np.isnan(each.mds.score)).sum()) for each in (one, other)),
        "r": _correlation(table["first_score"].to_numpy(), table["second_score"].to_numpy()),
        "random_r": 1.96 / np.sqrt(len(table)) if len(table) > 3 else np.nan,
        "same_class": float(same.mean()) if len(table) else np.nan,
        "kappa": _kappa(table["first_class"], table["second_class"]),
        "verdicts": int(both.sum()),
        "verdicts_changed": int(_other_verdict(table).sum()),
    }


def _other_verdict(table: pd.DataFrame) -> "pd.Series[bool]":
    both = (table["first_verdict"] != "") & (table["second_verdict"] != "")
    return both & (table["first_verdict"] != table["second_verdict"])


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or not a.std() or not b.std():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _kappa(a: pd.Series, b: pd.Series) -> float:
    """Cohen's kappa; NaN where both have one class only."""
    if not len(a):
        return float("nan")
    by_chance = float(sum((a == name).mean() * (b == name).mean() for name in set(a) | set(b)))
    same = float((a.to_numpy() == b.to_numpy()).mean())
    return (same - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
