"""Dominance scores and the gap: dense, from a store, sparse."""

from pathlib import Path
from typing import Any

import numpy as np

from modalens.benchmarks.case import Case, Place
from modalens.benchmarks.cases.data import embeddings, sparse_codes, write_store
from modalens.dominance import modality_dominance, modality_gap
from modalens.runs.scoring import ScoreConfig, score

_CHECKED = 32  # columns that are summed again in double precision
_PIECE = 2**22


def dense(at: Place, *, pairs: int, width: int) -> Case:
    """Scores alone, beside NumPy in single precision."""
    image, text = embeddings(pairs, width)

    def difference(ours: Any, theirs: np.ndarray) -> float:
        wide = (side[:, :_CHECKED].astype(np.float64) for side in (image, text))
        exact = np.abs(ours.score[:_CHECKED] - plain_score(*wide)).max()
        # Sums in single precision are off by more than ours may be.
        return float(max(exact, np.abs(ours.score - theirs).max() * 1e-8))

    return Case(
        ours=lambda: modality_dominance(image, text, resamples=0),
        theirs=lambda: plain_score(image, text),
        floor=lambda: read(image, text),
        difference=difference,
        tolerance=1e-12,
        repeats=3,
        warm_up=lambda: modality_dominance(image[:50], text[:50], resamples=0),
    )


def resampled(at: Place, *, pairs: int, width: int, resamples: int) -> Case:
    """Scores with bootstrap, label swaps and certainty, beside the scores alone."""
    image, text = embeddings(pairs, width)
    return Case(
        ours=lambda: modality_dominance(image, text, resamples=resamples),
        theirs=lambda: modality_dominance(image, text, resamples=0),
        floor=lambda: read(image, text),
        difference=_of_scores,
        tolerance=1e-12,
        repeats=3,
        warm_up=lambda: modality_dominance(image[:50], text[:50], resamples=10),
    )


def stored(at: Place, *, pairs: int, width: int) -> Case:
    """Scores of a store in half precision, beside NumPy on one file after another."""
    store = write_store(at.folder / "store", pairs, width)
    files = [sorted((at.folder / "store" / name).glob("*.npy")) for name in ("img_emb", "text_emb")]
    return Case(
        ours=lambda: modality_dominance(store, resamples=0),
        theirs=lambda: _plain_over(zip(*(map(_loaded, side) for side in files), strict=True)),
        floor=lambda: [_read_file(path) for side in files for path in side],
        difference=_of_scores,
        tolerance=1e-4,
        repeats=2,
        warm_up=lambda: modality_dominance(store.image[:50], store.text[:50], resamples=0),
    )


def sparse(at: Place, *, pairs: int, features: int, k: int, few: int) -> Case:
    """Scores of sparse codes, beside as many codes of ``few`` features."""
    many, fewer = ([sparse_codes(pairs, number, k, seed) for seed in (0, 1)] for number in (features, few))
    return Case(
        ours=lambda: modality_dominance(*many, resamples=0),
        theirs=lambda: modality_dominance(*fewer, resamples=0),
        floor=lambda: [side.data.sum() for side in many],
        repeats=3,
        warm_up=lambda: modality_dominance(*(side[:50] for side in many), resamples=0),
    )


def densified(at: Place, *, pairs: int, features: int, k: int) -> Case:
    """Scores of sparse codes, beside NumPy on dense blocks of them."""
    image, text = (sparse_codes(pairs, features, k, seed) for seed in (0, 1))
    rows = max(1, _PIECE // features)

    def theirs() -> np.ndarray:
        starts = range(0, pairs, rows)
        blocks = ([side[start : start + rows].toarray() for side in (image, text)] for start in starts)
        return _plain_over((first, second) for first, second in blocks)

    return Case(
        ours=lambda: modality_dominance(image, text, resamples=0),
        theirs=theirs,
        difference=_of_scores,
        tolerance=1e-4,
        repeats=2,
        warm_up=lambda: modality_dominance(image[:50], text[:50], resamples=0),
    )


def all_estimators(at: Place, *, pairs: int, features: int, k: int, resamples: int) -> Case:
    """Everything that ``modalens score`` gives of sparse codes; what counts is memory."""
    image, text = (sparse_codes(pairs, features, k, seed) for seed in (0, 1))
    config = ScoreConfig(resamples=resamples)
    return Case(
        ours=lambda: score(image, text, config),
        warm_up=lambda: score(image[:50, :64], text[:50, :64], ScoreConfig(resamples=10)),
    )


def gap(at: Place, *, pairs: int, width: int, resamples: int) -> Case:
    """The gap with its intervals, beside three of its measures as NumPy has them."""
    image, text = embeddings(pairs, width)
    text += 0.1

    def difference(ours: Any, theirs: dict[str, float]) -> float:
        return float(max(abs(getattr(ours, name) - value) for name, value in theirs.items()))

    return Case(
        ours=lambda: modality_gap(image, text, resamples=resamples),
        theirs=lambda: plain_gap(image, text),
        floor=lambda: read(image, text),
        difference=difference,
        tolerance=1e-4,
        repeats=2,
        warm_up=lambda: modality_gap(image[:200], text[:200], resamples=10),
    )


def plain_score(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """The score as one would write it down, everything in memory at once."""
    image, text = np.abs(image), np.abs(text)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = np.nanmean(image / (image + text), axis=0)
    return found


def plain_gap(image: np.ndarray, text: np.ndarray) -> dict[str, float]:
    """L2M as published, L2I and RMG of unit rows, as one would write them down."""
    image, text = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (image, text))
    n = len(image)
    paired = (1 - (image * text).sum(axis=1)).mean()
    sums = (np.square(side.sum(axis=0, dtype=np.float64)).sum() for side in (image, text))
    within = np.mean([1 - (total - n) / (n * (n - 1)) for total in sums])
    return {
        "l2m": float(np.linalg.norm(image.mean(axis=0) - text.mean(axis=0))),
        "l2i": float(np.linalg.norm(image - text, axis=1).mean()),
        "rmg": float(paired / (paired + within)),
    }


def read(*arrays: np.ndarray) -> float:
    """Read every number once, on as many cores as compiled loops use."""
    from modalens.compiled import cores, on_cores

    pieces = [(piece,) for each in arrays for piece in np.array_split(each, 4 * cores())]
    return float(sum(on_cores(np.sum, pieces)))


def _plain_over(blocks: Any) -> np.ndarray:
    """:func:`plain_score` over blocks of rows, in single precision."""
    share: Any = 0.0
    count: Any = 0
    for image, text in blocks:
        image, text = np.abs(image, dtype=np.float32), np.abs(text, dtype=np.float32)
        both = image + text
        share += np.divide(image, both, out=np.zeros_like(both), where=both > 0).sum(axis=0)
        count += (both > 0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = share / count
    return found


def _loaded(path: Path) -> np.ndarray:
    found: np.ndarray = np.load(path)
    return found


def _read_file(path: Path) -> int:
    buffer, read_ = bytearray(_PIECE), 0
    with path.open("rb", buffering=0) as file:
        while found := file.readinto(buffer):
            read_ += found
    return read_


def _of_scores(ours: Any, theirs: Any) -> float:
    """Largest difference of two lots of scores, whichever come as a result of ours."""
    theirs = getattr(theirs, "score", theirs)
    return float(np.nanmax(np.abs(ours.score - theirs)))
