"""Two sets of features side by side: which feature of one is which of the other, and what became of R and verdicts."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from modalens.arrays import normalize_rows, read_rows
from modalens.errors import InputError
from modalens.explore.opened import OpenedSet
from modalens.interpret.matching import FeatureMatch, match_features

_PAIRS = 2000
_MOST_FEATURES = 8192
_LEAST_COSINE = 0.7
_LEAST_CORRELATION = 0.3
_SHOWN = 200


def compare(one: OpenedSet, other: OpenedSet) -> dict[str, Any]:
    """How two sets of features differ.

    Features learned on the same embeddings are matched by the cosine of their decoder rows, others by the correlation
    of their activations over the images and texts of the pairs that both runs hold, found by their ids.

    Returns
    -------
    dict
        ``by`` (cosine or correlation), ``pairs`` in common, ``matched`` and ``by_chance`` (how many are matched with
        the dimensions of one decoder, or the pairs of one run, shuffled), ``counts`` of classes and of verdicts,
        ``points`` (R of matched features), ``moved`` (those whose class or verdict differs, the farthest in R first)
        and the ``gap`` of either.
    """
    match, by, pairs, by_chance = _matched(one, other)
    moved = _moved(one, other, match)
    return {
        "by": by,
        "least": _LEAST_COSINE if by == "cosine" else _LEAST_CORRELATION,
        "pairs": pairs,
        "matched": len(match),
        "by_chance": by_chance,
        "live": [len(_live(each)) for each in (one, other)],
        "counts": [each.index.counts for each in (one, other)],
        "gap": [_gap(each) for each in (one, other)],
        "points": {
            "first": match.first.tolist(),
            "second": match.second.tolist(),
            "likeness": np.round(match.cosine, 4).tolist(),
            "scores": [
                np.round(each.index.column("score")[places], 4).tolist()
                for each, places in ((one, match.first), (other, match.second))
            ],
        },
        "changed": len(moved),
        "moved": moved[:_SHOWN],
    }


def _matched(one: OpenedSet, other: OpenedSet) -> tuple[FeatureMatch, str, int, int]:
    rows = _in_common(one, other)
    live = [_live(each) for each in (one, other)]
    rng = np.random.default_rng(0)
    decoders = [each.each.directions for each in (one, other)]
    if all(each is not None for each in decoders) and _space(one) == _space(other):
        by, least = "cosine", _LEAST_COSINE
        first, second = (np.asarray(each)[kept] for each, kept in zip(decoders, live, strict=True))
        shuffled = second[:, rng.permutation(second.shape[1])]
    else:
        by, least = "correlation", _LEAST_CORRELATION
        first = _standard(one, rows[0], live[0])
        second = _standard(other, rows[1], live[1])
        order = rng.permutation(len(rows[1]))
        shuffled = np.concatenate([half[:, order] for half in np.split(second, 2, axis=1)], axis=1)
    match = match_features(first, second, least)
    by_chance = len(match_features(first, shuffled, least))
    return (
        FeatureMatch(live[0][match.first], live[1][match.second], match.cosine),
        by,
        len(rows[0]),
        by_chance,
    )


def _live(opened: OpenedSet) -> np.ndarray:
    """The live features; of very many those of most energy, whose activations still fit in memory."""
    live = np.flatnonzero(opened.index.column("label") != "dead")
    energy = (opened.index.column("energy_image") + opened.index.column("energy_text"))[live]
    found: np.ndarray = np.sort(live[np.argsort(-energy, kind="stable")[:_MOST_FEATURES]])
    return found


def _space(opened: OpenedSet) -> str:
    """What tells the embeddings that features were learned on from others."""
    each = opened.each
    digest: str = (each.store if each.embeddings is None else each.embeddings).digest
    return digest


def _in_common(one: OpenedSet, other: OpenedSet) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the scored pairs that both hold, by id, at most a few thousand."""
    rows = one.each.rows
    there = {
        name: row for row, name in zip(other.each.rows.tolist(), _ids(other, other.each.rows), strict=True)
    }
    couples = [
        (row, there[name]) for row, name in zip(rows.tolist(), _ids(one, rows), strict=True) if name in there
    ]
    if not couples:
        raise InputError("The two runs have no pair in common: they are compared by the ids of their pairs.")
    found = np.array(couples[:: max(1, len(couples) // _PAIRS)])
    return found[:, 0], found[:, 1]


def _ids(opened: OpenedSet, rows: np.ndarray) -> list[str]:
    return [name or "" for name in opened.pairs.values("id", rows)]


def _standard(opened: OpenedSet, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Activations of features over images and texts without their mean, (f, 2n): their cosine is the correlation."""
    sides = []
    for side in ("image", "text"):
        block = read_rows(getattr(opened.each.store, side).pick(rows), 0, len(rows))
        sides.append(np.asarray((block.toarray() if sp.issparse(block) else block)[:, features]).T)
    both = np.concatenate(sides, axis=1)
    centred: np.ndarray = normalize_rows(both - both.mean(axis=1, keepdims=True))[0]
    return centred


def _moved(one: OpenedSet, other: OpenedSet, match: FeatureMatch) -> list[dict[str, Any]]:
    found = []
    for first, second, likeness in zip(
        match.first.tolist(), match.second.tolist(), match.cosine.tolist(), strict=True
    ):
        before, after = (
            [str(each.index.column(name)[feature]) for name in ("label", "verdict")]
            for each, feature in ((one, first), (other, second))
        )
        if before != after:
            found.append(
                {
                    "first": first,
                    "second": second,
                    "likeness": likeness,
                    "labels": [before[0], after[0]],
                    "verdicts": [before[1], after[1]],
                    "names": [str(one.index.column("name")[first]), str(other.index.column("name")[second])],
                    "scores": [
                        float(one.index.column("score")[first]),
                        float(other.index.column("score")[second]),
                    ],
                }
            )
    return sorted(found, key=lambda each: -abs(each["scores"][0] - each["scores"][1]))


def _gap(opened: OpenedSet) -> dict[str, float]:
    gap = opened.each.scores.gap
    return {name: float(getattr(gap, name)) for name in ("l2m_unbiased", "rmg", "separability")}
