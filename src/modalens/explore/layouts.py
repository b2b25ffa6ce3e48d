"""Maps of features and pairs, kept: t-SNE of at most a few thousand, the others beside those they are like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from modalens.arrays import normalize_rows
from modalens.errors import InputError
from modalens.explore.opened import OpenedRun, OpenedSet
from modalens.store.atomic import whole_file
from modalens.store.kept import Kept, kept_or_made
from modalens.store.npy import open_npy

MOST_PAIRS = 65_536
_LANDMARKS = 2000
_LIKE = 4
_ROWS = 8192
_LAYOUT = 1
_DIMENSIONS = 50


def feature_layout(run: OpenedRun, opened: OpenedSet) -> dict[str, np.ndarray]:
    """Places of all features with a direction: ``feature`` (k,) and ``place`` (k, 2), in [-1, 1].

    Raises
    ------
    ModalensError
        If the features have no decoder.
    """
    if opened.each.directions is None:
        raise InputError(f"{opened.each.name} has no decoder, so its features have no map.")
    live = np.flatnonzero((opened.lengths > 0) & (opened.index.column("label") != "dead"))
    folder = run.folder / "layouts" / "features" / opened.each.name

    def vectors(rows: np.ndarray) -> np.ndarray:
        rows_of: np.ndarray = np.asarray(opened.each.directions)[live[rows]]
        return rows_of

    inputs = {"of": dict(opened.each.about()), "features": len(live)}
    return {"feature": live, "place": _kept(folder, inputs, vectors, len(live))}


def pair_layout(run: OpenedRun, opened: OpenedSet, seed: int = 0) -> dict[str, np.ndarray]:
    """Places of the scored pairs, of more than 65,536 so many drawn at random: ``row`` and ``place``.

    A pair lies by its two embeddings, each without the mean of its side, so that the gap plays no part.
    """
    rows = opened.each.rows
    if len(rows) > MOST_PAIRS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_PAIRS, replace=False))
    store = opened.each.store if opened.each.embeddings is None else opened.each.embeddings
    sides = [side.pick(rows) for side in (store.image, store.text)]
    means = [np.asarray(each[0:_ROWS], dtype=np.float64).mean(axis=0) for each in sides]

    def vectors(wanted: np.ndarray) -> np.ndarray:
        parts = [
            np.asarray(each[wanted], dtype=np.float64) - mean for each, mean in zip(sides, means, strict=True)
        ]
        found: np.ndarray = sum(normalize_rows(part)[0] for part in parts)
        return found

    inputs = {
        "embeddings": store.digest,
        "rows": len(rows),
        "seed": seed,
        "split": opened.each.scores.config.split,
    }
    return {"row": rows, "place": _kept(run.folder / "layouts" / "pairs", inputs, vectors, len(rows))}


def _kept(folder: Path, inputs: Mapping[str, Any], vectors: Any, n: int) -> np.ndarray:
    kept = Kept(folder, "the map", {"layout": _LAYOUT, **inputs}, "modalens explore")
    path = folder / "places.npy"

    def load() -> np.ndarray:
        return open_npy(path, 2, "f", f"remove {folder} and explore again")

    def make() -> np.ndarray:
        with whole_file(path) as partial, partial.open("wb") as file:
            np.save(file, lay_out(vectors, n).astype(np.float32))
        return load()

    return kept_or_made(kept, load, make)


def lay_out(vectors: Any, n: int, seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """Places in [-1, 1] of n vectors, near where their directions are alike.

    Parameters
    ----------
    vectors
        A function that gives the vectors of some rows, (k, d).
    n
        How many there are.
    seed
        Of the choice of those that t-SNE places.
    """
    landmarks = np.sort(np.random.default_rng(seed).permutation(n)[:_LANDMARKS])
    unit = normalize_rows(np.asarray(vectors(landmarks), dtype=np.float64))[0]
    placed = _embedded(unit)
    if len(landmarks) == n:
        return placed
    found = np.empty((n, 2))
    for start in range(0, n, _ROWS):
        rows = np.arange(start, min(start + _ROWS, n))
        cosines = normalize_rows(np.asarray(vectors(rows), dtype=np.float64))[0] @ unit.T
        near = np.argpartition(-cosines, _LIKE, axis=1)[:, :_LIKE]
        weights = np.exp(8 * np.take_along_axis(cosines, near, 1))
        found[rows] = (placed[near] * (weights / weights.sum(axis=1, keepdims=True))[:, :, None]).sum(axis=1)
    found[landmarks] = placed
    return found


def _embedded(unit: np.ndarray) -> np.ndarray:
    """t-SNE of unit vectors, by their strongest directions; a line or a point where there are too few."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    n, d = unit.shape
    if n < 3:
        return np.stack([np.linspace(-0.5, 0.5, n), np.zeros(n)], axis=1) if n > 1 else np.zeros((n, 2))
    reduced = PCA(min(_DIMENSIONS, n, d), random_state=0).fit_transform(unit)
    if reduced.shape[1] < 2:
        reduced = np.concatenate([reduced, np.zeros((n, 1))], axis=1)
    perplexity = min(30.0, max(2.0, (n - 1) / 4)) if n > 3 else 1.0
    placed = TSNE(
        2,
        perplexity=perplexity,
        init="pca",
        random_state=0,
        max_iter=500,
        method="barnes_hut" if n > 30 else "exact",
    ).fit_transform(reduced)
    spread = np.abs(placed).max()
    found: np.ndarray = placed / (spread if spread > 0 else 1)
    return found
