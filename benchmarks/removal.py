"""Classifiers without sets of features: ours, beside scikit-learn's fitted one after another.

Run ``python benchmarks/removal.py``, or for the size of a large study ``python benchmarks/removal.py --pairs 15000
--features 1024 --labels 80 --theirs 4``. Both are timed in one process on one fold of one modality; scikit-learn on
some of the sets, in float32 and with its own defaults but for the penalty. Accuracies are held against fits at full
convergence in float64.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from modalens.studies.stats.fold_classifier import CLASSIFIER, FoldClassifier

# Shares of features that the published classes hold (image, cross, text), and sets a class: itself, as many of largest
# variance and F-score, 20 random ones of equal number and 10 of equal energy.
_CLASSES = (0.42, 0.04, 0.54)
_SETS = 33
_MODALITIES, _FOLDS = 2, 5


def embeddings(n: int, f: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors with a spectrum as a dual encoder's, and labels that overlap in them."""
    generator = np.random.default_rng(0)
    spread = np.arange(1, f + 1) ** -0.5
    shares = generator.gamma(2.0, size=n_labels)
    labels = generator.choice(n_labels, n, p=shares / shares.sum())
    means = 0.15 * generator.normal(size=(n_labels, f)) * spread
    rotation = np.linalg.qr(generator.normal(size=(f, f)))[0]
    x = (means[labels] + generator.normal(size=(n, f)) * spread) @ rotation + 0.3 * generator.normal(size=f)
    return x / np.linalg.norm(x, axis=1, keepdims=True), labels


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What work gives, and its seconds by the clock and of processors."""
    clock, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - clock, time.process_time() - processor


def theirs(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, removed: np.ndarray, **options: Any
) -> np.ndarray:
    """Predictions of scikit-learn without some features."""
    kept = np.delete(np.arange(train.shape[1]), removed)
    model = LogisticRegression(**CLASSIFIER, **options).fit(train[:, kept], labels)
    predicted: np.ndarray = model.predict(test[:, kept])
    return predicted


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=3_000)
    options.add_argument("--features", type=int, default=256)
    options.add_argument("--labels", type=int, default=20)
    options.add_argument("--sets", type=int, default=_SETS, help="sets a class that ours are timed on")
    options.add_argument("--theirs", type=int, default=9, help="sets that scikit-learn is timed on")
    given = options.parse_args()
    x, labels = embeddings(given.pairs, given.features, given.labels)
    generator = np.random.default_rng(1)
    sizes = [max(1, round(share * given.features)) for share in _CLASSES for _ in range(given.sets)]
    removed = [generator.choice(given.features, size, replace=False) for size in sizes]
    train, test = next(StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(x, labels))
    print(
        f"{given.pairs:,} pairs x {given.features:,}, {given.labels} labels; one of {_FOLDS} folds, one modality"
    )

    fold, whole_clock, whole = timed(lambda: FoldClassifier(x, labels, (train, test)))
    ours, clock, processor = timed(lambda: fold.predict(removed))
    each = processor / len(removed)
    print(f"  ours, all features   {whole_clock:8.2f} s, {whole:.2f} s of processors")
    print(
        f"  ours, {len(removed):3} sets       {clock:8.2f} s, {processor:.2f} s of processors: {each:.4f} s a set"
    )

    some = np.linspace(0, len(removed) - 1, min(given.theirs, len(removed))).astype(int)
    scaler = StandardScaler().fit(x[train])
    samples, held_out = scaler.transform(x[train]), scaler.transform(x[test])
    single = [side.astype(np.float32) for side in (samples, held_out)]
    _, clock, processor = timed(
        lambda: [
            theirs(single[0], labels[train], single[1], removed[place], max_iter=1_000) for place in some
        ]
    )
    naive = processor / len(some)
    print(
        f"  scikit-learn, {len(some)} sets {clock:8.2f} s, {processor:.2f} s of processors: {naive:.4f} s a set"
    )

    fits = _MODALITIES * _FOLDS * (1 + len(_CLASSES) * _SETS)
    study = _MODALITIES * _FOLDS * (whole + len(_CLASSES) * _SETS * each)
    print(
        f"  a study of {fits:,} fits: ours {study:.0f} s of processors, scikit-learn {fits * naive:.0f} s: ",
        end="",
    )
    print(f"{fits * naive / study:.1f} times as long")

    differences = []
    for place in some:
        exact = theirs(samples, labels[train], held_out, removed[place], tol=1e-7, max_iter=10_000)
        right = labels[test]
        differences.append(abs((ours[place] == right).mean() - (exact == right).mean()))
    print(f"  largest difference of accuracy from a fit at full convergence {max(differences):.4f}, ", end="")
    print(f"mean {np.mean(differences):.4f}, of {len(test):,} held-out pairs")


if __name__ == "__main__":
    main()
