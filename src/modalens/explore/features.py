"""The table of features: filtered, searched by words, sorted, a page at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modalens.errors import InputError
from modalens.explore.feature_index import FeatureIndex

PAGE = 50
_SHOWN = (
    "feature",
    "label",
    "certainty",
    "score",
    "low",
    "high",
    "rate_image",
    "rate_text",
    "mono",
    "verdict",
    "partner",
    "found",
    "seeds",
    "name",
    "name_image",
    "name_text",
)
SORTS = (
    "feature",
    "label",
    "certainty",
    "score",
    "verdict",
    "mono",
    "rate_image",
    "rate_text",
    "found",
    "name",
)
_MOST_WORDS = 8


@dataclass(frozen=True)
class Query:
    """Which features, in which order.

    Attributes
    ----------
    label, verdict
        Their class and verdict; empty for any. Without a class dead features are left out.
    certainty, mono
        The least of either; 0 for any.
    found
        Whether every other seed must have found them.
    named
        Whether they must have a name that stands.
    words
        Words that must all stand in the name or the captions of the strongest pairs.
    sort, descending
        A column of :data:`SORTS`; those without a value come last.
    start
        Place of the first one to give.
    """

    label: str = ""
    verdict: str = ""
    certainty: float = 0.0
    mono: float = 0.0
    found: bool = False
    named: bool = False
    words: str = ""
    sort: str = "feature"
    descending: bool = False
    start: int = 0

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise InputError(
                f"There is no column {self.sort[:40]!r} to sort by; choose one of {', '.join(SORTS)}."
            )


def find_features(index: FeatureIndex, query: Query) -> dict[str, Any]:
    """A page of features, and how many there are: ``features`` (rows of plain values), ``total``, ``start``."""
    chosen = np.flatnonzero(_kept(index, query))
    order = chosen[_order(index.column(query.sort)[chosen], query.descending)]
    start = max(0, min(query.start, max(len(order) - 1, 0)))
    return {"total": len(order), "start": start, "features": rows_of(index, order[start : start + PAGE])}


def rows_of(index: FeatureIndex, features: np.ndarray) -> list[dict[str, Any]]:
    """What the table shows of some features."""
    taken: list[dict[str, Any]] = index.table.select(_SHOWN).take(pa.array(features, pa.int64())).to_pylist()
    return taken


def about(index: FeatureIndex, feature: int) -> dict[str, Any]:
    """What is said of a feature beside another thing: its class, certainty, R, verdict, partner and name."""
    return {
        name: index.column(name)[feature].item()
        if name not in ("label", "verdict", "name")
        else str(index.column(name)[feature])
        for name in ("feature", "label", "certainty", "score", "verdict", "partner", "name")
    }


def _kept(index: FeatureIndex, query: Query) -> np.ndarray:
    label = index.column("label")
    kept: np.ndarray = label == query.label if query.label else label != "dead"
    if query.verdict:
        kept = kept & (index.column("verdict") == query.verdict)
    for name in ("certainty", "mono"):
        least = getattr(query, name)
        if least > 0:
            with np.errstate(invalid="ignore"):
                kept = kept & (index.column(name) >= least)
    if query.found:
        kept = kept & (index.column("found") == index.column("seeds")) & (index.column("seeds") > 0)
    if query.named:
        kept = kept & (index.column("name") != "")
    for word in query.words.lower().split()[:_MOST_WORDS]:
        kept = kept & pc.match_substring(index.table.column("words"), word).to_numpy()
    return kept


def _order(values: np.ndarray, descending: bool) -> np.ndarray:
    """Stable order of values; NaN and empty ones last either way."""
    if values.dtype == object:
        numbers = np.unique(values.astype(str), return_inverse=True)[1].astype(float)
        numbers[values == ""] = np.nan
    else:
        numbers = values.astype(float)
    order: np.ndarray = np.argsort(-numbers if descending else numbers, kind="stable")
    return order
