"""Turn features up or down in one embedding, and see what it then retrieves, beside random features of equal energy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modalens.dominance.retrieval import measure_retrieval
from modalens.edit.energy_sets import equal_energy_sets
from modalens.edit.saved import Edit
from modalens.errors import InputError
from modalens.explore.opened import OpenedRun, OpenedSet
from modalens.explore.own import OwnSample
from modalens.explore.pair_index import CAPTION
from modalens.explore.ranking import ranks, strongest, unit_rows
from modalens.explore.views import check_feature
from modalens.runs.representations import Representation
from modalens.store import PairStore
from modalens.store.lock import alone_in

MOST_FEATURES = 4096
MOST_GAIN = 20.0
_DRAWS = 8
_CONTROLS_MEASURED = 3
_SHOWN = 6
_MEASURED = 1000
_MOST_LABELS = 12
_OF_LABEL = 200
_OTHER = {"image": "text", "text": "image"}


@dataclass(frozen=True)
class Steer:
    """What is turned.

    Attributes
    ----------
    features
        The features, or empty for all of a class.
    label
        The class, where no features are named.
    gain
        0 removes them, 1 changes nothing, 2 doubles them.
    side
        Which side's embedding is edited, image or text.
    """

    features: tuple[int, ...]
    label: str
    gain: float
    side: str

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Steer":
        """What a request asks for.

        Raises
        ------
        InputError
            If a value does not fit.
        """
        features, gain, side = values.get("features") or [], values.get("gain"), values.get("side")
        if not isinstance(features, list) or not all(type(each) is int for each in features):
            raise InputError("Name features by their numbers.")
        if len(features) > MOST_FEATURES:
            raise InputError(f"Choose at most {MOST_FEATURES:,} features, or a class.")
        if isinstance(gain, bool) or not isinstance(gain, int | float) or not abs(gain) <= MOST_GAIN:
            raise InputError(f"The strength must be a number from -{MOST_GAIN:g} to {MOST_GAIN:g}.")
        if not isinstance(side, str) or side not in _OTHER:
            raise InputError("Choose the side to edit: image or text.")
        label = values.get("label")
        if not features and not isinstance(label, str):
            raise InputError("Choose features or a class to steer.")
        return cls(tuple(sorted(set(features))), str(label or ""), float(gain), side)

    def chosen(self, opened: OpenedSet) -> np.ndarray:
        """The features.

        Raises
        ------
        InputError
            If one does not exist, or the class has none.
        """
        if self.features:
            for feature in self.features:
                check_feature(opened.index, feature)
            return np.array(self.features)
        found = np.flatnonzero(opened.index.column("label") == self.label)
        if not len(found):
            raise InputError(f"No feature is of the class {self.label[:40]!r}.")
        return found


def edit_of(opened: OpenedSet, features: np.ndarray, steer: Steer) -> Edit:
    """The edit that turns some features.

    Raises
    ------
    ModalensError
        If the representation has no way back to embeddings.
    """
    each = opened.each
    if each.learned is not None and not each.learned.model.has_decoder:
        raise InputError(f"{each.name} has no decoder to steer by; choose an autoencoder or the embeddings.")
    model = None if each.learned is None else each.learned.model
    label = steer.label if not steer.features else ""
    return Edit(tuple(features.tolist()), steer.gain, model, steer.side, label)


def steered(
    opened: OpenedSet, steer: Steer, query: int | OwnSample, column: str | None = None
) -> dict[str, Any]:
    """What an embedding retrieves before and after an edit, and after edits of random features of equal energy.

    Parameters
    ----------
    opened
        The features.
    steer
        What is turned.
    query
        Row of a pair, whose embedding of the edited side is taken, or a sample of the reader's own.
    column
        Metadata column whose labels the embedding is held against: mean embeddings of the other side's samples.
    """
    store, chosen = _embeddings(opened.each), steer.chosen(opened)
    controls = controls_of(opened, chosen, steer.side)
    edits = [edit_of(opened, features, steer) for features in (chosen, *controls)]
    plain = query_embedding(opened, steer.side, query)
    queries = np.concatenate([plain, *(edit.apply(plain) for edit in edits)])
    other = getattr(store, _OTHER[steer.side])
    rows = opened.each.rows
    near, cosines = strongest(other, rows, queries[:2], _SHOWN)
    moved = 1 - _cosine(queries[0], queries[1:])
    found: dict[str, Any] = {
        "side": steer.side,
        "features": len(chosen),
        "controls": [len(each) for each in controls],
        **shares_of(opened, chosen, controls, steer.side),
        "moved": {"after": float(moved[0]), "controls": moved[1:].tolist()},
        "nearest": {
            name: _named(opened, near[place], cosines[place])
            for place, name in enumerate(("before", "after"))
        },
    }
    if not isinstance(query, OwnSample):
        right = _same(store, query, rows)
        place, best = ranks(other, rows, queries, right)
        found["rank"] = _three(place)
        found["cosine"] = _three(best)
        found["candidates"] = len(rows)
    if column is not None:
        found["labels"] = _labels(opened, other, queries, column)
    return found


def query_embedding(opened: OpenedSet, side: str, query: int | OwnSample) -> np.ndarray:
    """The embedding that is edited, (1, d).

    Raises
    ------
    InputError
        If the sample is of the other side.
    """
    if isinstance(query, OwnSample):
        if query.side != side:
            raise InputError(f"Your sample is of the {query.side} side; steer that one.")
        return query.embedding
    rows = getattr(_embeddings(opened.each), side).pick(np.array([query]))
    return np.asarray(rows[0:1], dtype=np.float32)


def retrieval_of(opened: OpenedSet, steer: Steer, seed: int = 0) -> dict[str, Any]:
    """Recall at 1 and 5 over random pairs before and after an edit of one side, and after edits of random features."""
    store, chosen = _embeddings(opened.each), steer.chosen(opened)
    rows = opened.each.rows
    if len(rows) > _MEASURED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MEASURED, replace=False))
    sides = {
        side: np.asarray(getattr(store, side).pick(rows)[0 : len(rows)], dtype=np.float32) for side in _OTHER
    }
    images = store.image_numbers
    groups = None if images is None else images[rows]
    way = "text_to_image" if steer.side == "text" else "image_to_text"

    def measured(edit: Edit | None) -> dict[str, list[float]]:
        both = {**sides, steer.side: sides[steer.side] if edit is None else edit.apply(sides[steer.side])}
        recall = getattr(measure_retrieval(both["image"], both["text"], image_ids=groups), way)
        return {str(rank): list(recall[rank]) for rank in (1, 5)}

    controls = controls_of(opened, chosen, steer.side)[:_CONTROLS_MEASURED]
    return {
        "pairs": len(rows),
        "way": way,
        **shares_of(opened, chosen, controls, steer.side),
        "before": measured(None),
        "after": measured(edit_of(opened, chosen, steer)),
        "controls": [measured(edit_of(opened, features, steer)) for features in controls],
    }


def save_edit(run: OpenedRun, opened: OpenedSet, steer: Steer) -> dict[str, Any]:
    """Write the edit into the run's folder ``edits/``, under a number that is free.

    Returns
    -------
    dict
        ``path``, below the run; ``file``, the whole path.

    Raises
    ------
    ModalensError
        If another process saves one at this moment, or the disk is full.
    """
    edit = edit_of(opened, steer.chosen(opened), steer)
    folder = run.layout.folder / "edits"
    with alone_in(folder, "saving an edit to"):
        number = 1
        while (path := folder / f"edit-{number}.safetensors").exists():
            number += 1
        edit.save(path)
    return {"path": path.relative_to(run.layout.folder).as_posix(), "file": str(path)}


def _embeddings(each: Representation) -> PairStore:
    return each.store if each.embeddings is None else each.embeddings


def controls_of(opened: OpenedSet, chosen: np.ndarray, side: str) -> Sequence[np.ndarray]:
    """Random sets of other features that hold as much energy on a side."""
    index = opened.index
    energy = index.column(f"energy_{side}").astype(np.float64)
    rest = np.setdiff1d(np.flatnonzero(energy > 0), chosen)
    if not len(rest):
        return []
    sets = equal_energy_sets(rest, energy, float(energy[chosen].sum()), _DRAWS, 0)
    return [each.indices for each in sets]


def shares_of(
    opened: OpenedSet, chosen: np.ndarray, controls: Sequence[np.ndarray], side: str
) -> dict[str, float | None]:
    """Share of a side's energy: ``energy`` of what is turned, ``control_energy`` of the random features, on average.

    The latter is less where all other features together hold less; None where there are none.
    """
    energy = opened.index.column(f"energy_{side}").astype(np.float64)
    every = [float(energy[each].sum() / max(float(energy.sum()), 1e-30)) for each in (chosen, *controls)]
    return {"energy": every[0], "control_energy": float(np.mean(every[1:])) if controls else None}


def _named(opened: OpenedSet, rows: np.ndarray, cosines: np.ndarray) -> list[dict[str, Any]]:
    captions = opened.pairs.values(CAPTION, rows)
    return [
        {"row": row, "caption": caption or "", "value": value}
        for row, caption, value in zip(rows.tolist(), captions, cosines.tolist(), strict=True)
    ]


def _three(values: np.ndarray) -> dict[str, Any]:
    return {"before": values[0].item(), "after": values[1].item(), "controls": values[2:].tolist()}


def _same(store: PairStore, row: int, rows: np.ndarray) -> np.ndarray:
    """The scored pairs that show the same image, any of which is right, or the pair itself."""
    images = store.image_numbers
    if images is None:
        return np.array([row])
    same = rows[images[rows] == images[row]]
    return same if len(same) else np.array([row])


def _labels(opened: OpenedSet, candidates: Any, queries: np.ndarray, column: str) -> list[dict[str, Any]]:
    if column not in opened.pairs.labels:
        raise InputError(f"The pairs have no column {column[:40]!r}.")
    rows = opened.each.rows
    names, places = opened.pairs.coded(column, rows)
    found = []
    for place, name in enumerate(names[:_MOST_LABELS]):
        every = rows[places == place]
        own = every[:: max(1, len(every) // _OF_LABEL)]
        cosine = _cosine(unit_rows(candidates, own).mean(axis=0), queries)
        found.append({"label": name, "pairs": len(every), **_three(cosine)})
    return found


def _cosine(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    a, b = one.astype(np.float64), others.astype(np.float64)
    cosine: np.ndarray = b @ a / np.maximum(np.linalg.norm(a) * np.linalg.norm(b, axis=1), 1e-30)
    return cosine
