"""What the page shows of one feature, one pair or one sample of the reader's own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from modalens.arrays import read_rows
from modalens.errors import InputError
from modalens.explore.feature_index import MOST_SAMPLES, SIDES, FeatureIndex
from modalens.explore.features import about, rows_of
from modalens.explore.opened import OpenedSet
from modalens.explore.pair_index import CAPTION
from modalens.explore.ranking import strongest
from modalens.runs.representations import Representation

SAMPLES = 12
NEIGHBOURS = 8
MOST_FEATURES = 60
_LEAST_COSINE = 0.1


def feature_view(opened: OpenedSet, feature: int) -> dict[str, Any]:
    """The card of a feature: the table's row and more, histogram, neighbours, strongest samples of either side."""
    index = opened.index
    check_feature(index, feature)
    arrays = index.arrays
    dead = bool(np.isnan(arrays["edges"][feature]).any())
    row = index.table.slice(feature, 1).drop_columns(["words"]).to_pylist()[0]
    return {
        **row,
        "histogram": None
        if dead
        else {
            "edges": arrays["edges"][feature].tolist(),
            **{s: arrays[f"{s}_counts"][feature].tolist() for s in SIDES},
        },
        "neighbours": _neighbours(opened, feature),
        "samples": {side: samples_view(opened, feature, side, 0) for side in SIDES},
    }


def samples_view(opened: OpenedSet, feature: int, side: str, start: int) -> dict[str, Any]:
    """Some of a feature's strongest samples of one side, from a place on: ``samples`` and ``more``."""
    index = opened.index
    check_feature(index, feature)
    if side not in SIDES:
        raise InputError(f"There is no side {side[:20]!r}; choose image or text.")
    start = max(0, min(start, MOST_SAMPLES))
    rows = index.arrays[f"{side}_rows"][feature]
    there = int((rows >= 0).sum())
    here = slice(start, min(start + SAMPLES, there))
    values = index.arrays[f"{side}_values"][feature, here].tolist()
    taken = rows[here]
    captions = opened.pairs.values(CAPTION, taken) if len(taken) else []
    found = [
        {"row": row, "caption": caption or "", "value": value}
        for row, caption, value in zip(taken.tolist(), captions, values, strict=True)
    ]
    return {"samples": found, "start": start, "more": here.stop < there}


def pair_view(opened: OpenedSet, row: int) -> dict[str, Any]:
    """A pair: caption, labels, what fires on each side, and what is shared."""
    if not 0 <= row < len(opened.pairs):
        raise InputError(f"There is no pair {row}: pairs are numbered from 0 to {len(opened.pairs) - 1}.")
    known = opened.pairs.one(row)
    rows = np.array([row])
    sides = {side: code_of(getattr(opened.each.store, side).pick(rows)) for side in SIDES}
    return {
        "row": row,
        "id": known.pop("id"),
        "caption": known.pop(CAPTION) or "",
        "labels": {name: value for name, value in known.items() if value is not None},
        "cosine": float(opened.pairs.cosine[row]),
        "scored": bool(row in opened.each.rows),
        **explained(opened.index, sides),
    }


def place_of(opened: OpenedSet, order: str, row: int | None, place: int | None) -> dict[str, Any]:
    """Which scored pair stands at a place of an order (``given`` or ``least``), and where a pair stands in it."""
    rows = opened.each.rows
    listed = opened.index.pairs["least_agreement"] if order == "least" else np.arange(len(rows))
    if place is None:
        found = np.flatnonzero(rows[listed] == row)
        place = int(found[0]) if len(found) else 0
    place %= len(rows)
    return {"place": place, "of": len(rows), "row": int(rows[listed[place]])}


def explained(index: FeatureIndex, sides: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What fires in the codes of one or both sides.

    ``shares``, energy by class of each side; ``features``, those of most energy, with their energy on each side and
    ``on``: both, image or text; ``firing``, how many fire on each side; ``overlap`` of a pair.
    """
    energy = {side: code**2 / max(float((code**2).sum()), 1e-30) for side, code in sides.items()}
    label = index.column("label")
    first, second = index.modalities
    shares = {
        side: {name: float(each[label == name].sum()) for name in (first, "cross", second, "dead")}
        for side, each in energy.items()
    }
    total = np.sum(list(energy.values()), axis=0)
    live = np.flatnonzero(total)
    order = live[np.argsort(-total[live], kind="stable")]
    features = [
        {
            **about(index, feature),
            **{side: float(each[feature]) for side, each in energy.items()},
            "on": _on({side: each[feature] > 0 for side, each in energy.items()}),
        }
        for feature in order[:MOST_FEATURES].tolist()
    ]
    found = {
        "shares": shares,
        "features": features,
        "firing": {side: int(np.count_nonzero(each)) for side, each in energy.items()},
        "total": len(order),
    }
    if len(energy) == 2:
        image, text = energy["image"], energy["text"]
        both = (image > 0) & (text > 0)
        found["shared"] = int(both.sum())
        found["overlap"] = {"image": float(image[both].sum()), "text": float(text[both].sum())}
    return found


def code_of(matrix: Any) -> np.ndarray:
    """The only row of a matrix, dense."""
    block = read_rows(matrix, 0, 1)
    dense: np.ndarray = (block.toarray() if sp.issparse(block) else np.asarray(block))[0]
    return dense


def own_code(each: Representation, embedding: np.ndarray, side: str) -> np.ndarray:
    """The features of an embedding (1, d)."""
    if each.learned is None:
        raw: np.ndarray = np.asarray(embedding, dtype=np.float64)[0]
        return raw
    return code_of(each.learned.model.encode(embedding, side))


def nearest_pairs(opened: OpenedSet, embedding: np.ndarray, most: int = 8) -> dict[str, list[dict[str, Any]]]:
    """The images and the texts of the scored pairs that lie nearest to an embedding (1, d), by cosine."""
    embeddings = opened.each.store if opened.each.embeddings is None else opened.each.embeddings
    found = {}
    for side in SIDES:
        rows, cosines = strongest(getattr(embeddings, side), opened.each.rows, embedding, most)
        captions = opened.pairs.values(CAPTION, rows[0])
        found[side] = [
            {"row": row, "caption": caption or "", "value": value}
            for row, caption, value in zip(rows[0].tolist(), captions, cosines[0].tolist(), strict=True)
        ]
    return found


def check_feature(index: FeatureIndex, feature: int) -> None:
    """Raise if there is no such feature."""
    if not 0 <= feature < len(index):
        raise InputError(f"There is no feature {feature}: features are numbered from 0 to {len(index) - 1}.")


def _on(fires: Mapping[str, Any]) -> str:
    sides = [side for side, there in fires.items() if there]
    return "both" if len(sides) == 2 else sides[0]


def _neighbours(opened: OpenedSet, feature: int) -> list[dict[str, Any]]:
    """The features whose decoder rows lie nearest; none where there is no decoder."""
    directions = opened.each.directions
    if directions is None:
        return []
    own = np.asarray(directions[feature], dtype=np.float32)
    size = float(np.linalg.norm(own))
    if not size:
        return []
    lengths = opened.lengths
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.nan_to_num(np.asarray(directions) @ own / (lengths * size))
    cosine[feature] = -1
    near = np.argsort(-cosine, kind="stable")[:NEIGHBOURS] if len(cosine) < 4096 else _top(cosine)
    found = rows_of(opened.index, near)
    return [
        {**row, "cosine": float(cosine[place])}
        for row, place in zip(found, near.tolist(), strict=True)
        if cosine[place] > _LEAST_COSINE
    ]


def _top(values: np.ndarray) -> np.ndarray:
    near = np.argpartition(-values, NEIGHBOURS)[:NEIGHBOURS]
    ordered: np.ndarray = near[np.argsort(-values[near], kind="stable")]
    return ordered
