"""Logistic regressions on one fold, each without some of the features."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int
from sklearn.preprocessing import StandardScaler

from modalens.arrays import Block
from modalens.compiled import on_cores, one_blas_thread
from modalens.studies.stats.heldout import Split
from modalens.studies.stats.softmax import Curvature, Samples, minimised, probabilities

# A set of removed features.
Removed: TypeAlias = Int[np.ndarray, " k"]

# Measured on dense and on sparse features, 500 to 4,000 pairs and 9 or 10 labels: the penalty that predicts best of
# 1, 0.1, 0.01 and 0.001; in the terms of scikit-learn's LogisticRegression.
CLASSIFIER = {"C": 0.01}
# Of so far from its minimum the objective of n samples stops, (5e-7 n)^2 and at most 1e-4. The share of predictions
# that differ from those at the minimum goes with the root of this distance (measured: 0.7 times it), half of them make
# the accuracy better and half worse, and so 200 accuracies stay within 0.002 of those at the minimum.
_PER_SAMPLE, _FURTHEST = 5e-7, 1e-4


class FoldClassifier:
    """Fits and tests logistic regressions on one fold, with different features removed.

    Features are standardised by the training samples. Sparse ones are scaled and stay sparse; their means are taken
    off in products. The objective is that of scikit-learn's ``LogisticRegression``, for two labels too.
    """

    def __init__(self, x: Block, labels: Int[np.ndarray, " n"], split: Split) -> None:
        train, _ = split
        scaler = StandardScaler(with_mean=not sp.issparse(x)).fit(x[train])
        values, self._test = (scaler.transform(x[rows]).astype(np.float32) for rows in split)
        self._labels, number = np.unique(labels[train], return_inverse=True)
        means = None
        if sp.issparse(x):
            means = np.asarray(values.mean(axis=0, dtype=np.float64), dtype=np.float32).ravel()
        else:
            values = np.asfortranarray(values)
        self._samples = Samples(values, means, number, len(self._labels))
        # The two weights of two labels are one weight and its opposite, which scikit-learn counts once.
        self._ridge = (2 if len(self._labels) == 2 else 1) / (CLASSIFIER["C"] * len(number))
        self._tolerance = min(_FURTHEST, (_PER_SAMPLE * len(labels)) ** 2)
        if len(self._labels) > 1:
            with one_blas_thread():
                self._fit_whole()

    def _fit_whole(self) -> None:
        """With all features, from the shares of labels."""
        samples = self._samples
        self._covariance = samples.covariance()
        shares = np.bincount(samples.labels) / len(samples)
        start = np.zeros((samples.values.shape[1] + 1, samples.n_labels), dtype=np.float32)
        start[-1] = np.log(shares)
        self._whole, _ = minimised(samples, start, self._covariance, self._ridge, self._tolerance / 10)
        self._curvature = Curvature.at(probabilities(samples.logits(self._whole)), self._ridge)

    def predict(self, removed: Sequence[Removed]) -> Int[np.ndarray, "s b"]:
        """Predicted label of each test sample by classifiers fitted without each of some sets of features.

        Each fit starts where its objective would be smallest if that of all features were a parabola, and runs on one
        core, several side by side.
        """
        if len(self._labels) == 1:
            return np.full((len(removed), self._test.shape[0]), self._labels[0])
        with one_blas_thread():
            found = on_cores(self._predict, ((each,) for each in removed))
        predicted: np.ndarray = self._labels[np.stack(found)]
        return predicted

    def _predict(self, removed: Removed) -> Int[np.ndarray, " b"]:
        weights = self._whole if not len(removed) else self._weights_without(np.unique(removed))
        logits = self._test @ weights[:-1]
        if self._samples.means is not None:
            logits -= self._samples.means @ weights[:-1]
        chosen: np.ndarray = np.argmax(logits + weights[-1], axis=1)
        return chosen

    def _weights_without(self, removed: Removed) -> np.ndarray:
        """Weights of all features, 0 for those that are removed."""
        kept = np.delete(np.arange(len(self._whole) - 1), removed)
        weights = np.zeros_like(self._whole)
        if not len(kept):
            weights[-1] = np.log(np.bincount(self._samples.labels))
            return weights
        covariance, start = None, self._whole[np.append(kept, -1)]
        if self._covariance is not None:
            covariance = self._covariance[np.ix_(kept, kept)]
            lost = self._curvature.times(self._covariance[np.ix_(kept, removed)], self._whole[removed])
            start = start + self._curvature.inverse(covariance)(np.vstack([lost, np.zeros_like(lost[:1])]))
        weights[np.append(kept, -1)], _ = minimised(
            self._samples.only(kept), start, covariance, self._ridge, self._tolerance
        )
        return weights
