"""Classifiers of the removal study, and what the study of closing the gap measures of one edit."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from modalens.arrays import normalize_rows
from modalens.benchmarks.case import Case, Place
from modalens.compiled import one_blas_thread
from modalens.dominance import modality_gap
from modalens.dominance.gap import MEASURES
from modalens.dominance.retrieval import RANKS, measure_retrieval
from modalens.edit import zero
from modalens.studies.gap_closing.measures import GapMeasures
from modalens.studies.stats.fold_classifier import CLASSIFIER, FoldClassifier

# Shares of features that the published classes hold (image, cross, text).
_CLASSES = (0.42, 0.04, 0.54)
_FOLDS = 5


def removal(at: Place, *, pairs: int, features: int, labels: int, sets: int, theirs: int) -> Case:
    """Classifiers without sets of features, beside scikit-learn's fitted one after another.

    One of five folds of one modality, ``sets`` random sets as large as each class; scikit-learn on one core, in single
    precision and on ``theirs`` of the sets. Accuracies are held against fits at full convergence in double precision.
    """
    x, y = _labelled(pairs, features, labels)
    generator = np.random.default_rng(1)
    sizes = [max(1, round(share * features)) for share in _CLASSES for _ in range(sets)]
    removed = [generator.choice(features, size, replace=False) for size in sizes]
    train, test = next(StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(x, y))
    some = np.linspace(0, len(removed) - 1, min(theirs, len(removed))).astype(int)
    scaler = StandardScaler().fit(x[train])
    whole = scaler.transform(x[train]), scaler.transform(x[test])
    single = [side.astype(np.float32) for side in whole]

    def fitted(sides: Any, **options: Any) -> list[np.ndarray]:
        # Threads of products this small wait for each other and spin: ten times the time where others use the cores.
        with one_blas_thread():
            return [_predicted(sides, y[train], removed[place], **options) for place in some]

    def difference(ours: np.ndarray, _: Any) -> float:
        exact = fitted(whole, tol=1e-7, max_iter=10_000)
        right = [[(found == y[test]).mean() for found in each] for each in (ours[some], exact)]
        return float(abs(np.mean(right[0]) - np.mean(right[1])))

    return Case(
        ours=lambda: FoldClassifier(x, y, (train, test)).predict(removed),
        theirs=lambda: fitted(single, max_iter=1_000),
        difference=difference,
        tolerance=0.002,
        theirs_times=len(removed) / len(some),
    )


def _labelled(n: int, f: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors with a spectrum as a dual encoder's, and labels that overlap in them."""
    generator = np.random.default_rng(0)
    spread = np.arange(1, f + 1) ** -0.5
    shares = generator.gamma(2.0, size=n_labels)
    labels = generator.choice(n_labels, n, p=shares / shares.sum())
    means = 0.15 * generator.normal(size=(n_labels, f)) * spread
    rotation = np.linalg.qr(generator.normal(size=(f, f)))[0]
    x = (means[labels] + generator.normal(size=(n, f)) * spread) @ rotation + 0.3 * generator.normal(size=f)
    return x / np.linalg.norm(x, axis=1, keepdims=True), labels


def _predicted(
    sides: tuple[np.ndarray, np.ndarray], labels: np.ndarray, removed: np.ndarray, **options: Any
) -> np.ndarray:
    """Predictions of scikit-learn without some features."""
    kept = np.delete(np.arange(sides[0].shape[1]), removed)
    model = LogisticRegression(**CLASSIFIER, **options).fit(sides[0][:, kept], labels)
    predicted: np.ndarray = model.predict(sides[1][:, kept])
    return predicted


def close_gap(at: Place, *, pairs: int, features: int, labels: int, edits: int) -> Case:
    """Every measure of some edits, beside the measures one after another."""
    image, text, y = _concepts(pairs, features, labels)
    measures, _ = GapMeasures.of(
        pairs,
        labels=y,
        groups=None,
        image_ids=np.arange(pairs),
        modalities=("image", "text"),
        folds=_FOLDS,
        seed=0,
    )
    generator = np.random.default_rng(1)
    shares = (np.arange(edits) + 0.5) / edits
    removed = [generator.choice(features, round(share * features), replace=False) for share in shares]
    edited = [(zero(image, each), zero(text, each)) for each in removed]

    def difference(ours: list[Any], plain: list[dict[str, float]]) -> float:
        together = zip(ours, plain, strict=True)
        apart = (abs(mine[name][0] - value) for mine, values in together for name, value in values.items())
        return float(max(apart))

    return Case(
        ours=lambda: [measures.measure(*each) for each in edited],
        theirs=lambda: [_one_by_one(measures, *each) for each in edited],
        difference=difference,
        tolerance=1e-9,
        warm_up=lambda: modality_gap(image[:200], text[:200], resamples=0),
    )


def _concepts(n: int, f: int, n_labels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs that share a concept, with an offset between the modalities, and labels."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, n_labels, n)
    spread = np.arange(1, f + 1) ** -0.5
    concept = (0.5 * generator.normal(size=(n_labels, f))[labels] + generator.normal(size=(n, f))) * spread
    image, text = (concept + 0.7 * generator.normal(size=(n, f)) * spread for _ in range(2))
    image[:, : f // 8] += spread[: f // 8]
    text[:, f // 8 : f // 4] += spread[f // 8 : f // 4]
    return image, text, labels


def _one_by_one(measures: GapMeasures, image: np.ndarray, text: np.ndarray) -> dict[str, float]:
    """Each measure as it stands by itself."""
    gap = modality_gap(image, text, resamples=0, seed=measures.seed, groups=measures.keys)
    found = {name: float(getattr(gap, name)) for name in MEASURES}
    recall = measure_retrieval(image, text, image_ids=measures.image_ids, max_pairs=len(image))
    for side, each in enumerate((recall.image_to_text, recall.text_to_image)):
        found |= {measures.recall(side, rank): each[rank][0] for rank in RANKS}
    right = measures.read_labels(normalize_rows(image)[0], normalize_rows(text)[0])
    return {**found, "accuracy": float(right.mean())}
