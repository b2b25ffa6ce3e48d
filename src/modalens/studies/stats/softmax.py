"""Softmax regression in few steps: L-BFGS with the Kronecker curvature of the problem as its first guess."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg.lapack import spotrf, spotrs

from modalens.statistics import descent
from modalens.statistics.descent import Weights
from modalens.statistics.design import Design

# Eigenvalues of labels that lie within such a ratio share a factor.
_LEVEL_RATIO, _MOST_LEVELS = 3, 4


@dataclass(frozen=True, eq=False)
class Samples(Design):
    """Training samples with their labels.

    Attributes
    ----------
    values, means
        As for :class:`~modalens.statistics.design.Design`; dense values in Fortran order.
    labels
        Number of each sample's label, (n,), from 0 to K - 1, each at least once.
    n_labels
        K.
    """

    labels: Int[np.ndarray, " n"]
    n_labels: int

    def residual(self, probability: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
        """Probability of each label less 1 for the right one, in place."""
        probability[np.arange(len(self)), self.labels] -= 1
        return probability


@dataclass(frozen=True, eq=False)
class Curvature:
    """The second derivative of the objective, as the Kronecker product of features' and labels' covariances.

    The loss has the mean over samples of x x' (x) (diag(p) - p p'), with p the probabilities; held here is the product
    of the two means, exact where the two are independent over samples.

    Attributes
    ----------
    of_labels, axes
        Eigenvalues (K,) and eigenvectors (K, K) of the mean of diag(p) - p p'.
    ridge
        The penalty's second derivative.
    """

    of_labels: Float[np.ndarray, " K"]
    axes: Float[np.ndarray, "K K"]
    ridge: float

    @classmethod
    def at(cls, probability: Float[np.ndarray, "n K"], ridge: float) -> Self:
        """Where the labels have these probabilities."""
        mean = probability.mean(axis=0, dtype=np.float64)
        of_labels, axes = np.linalg.eigh(np.diag(mean) - probability.T @ probability / len(probability))
        return cls(np.maximum(of_labels, 0), axes.astype(np.float32), ridge)

    def times(
        self, covariance: Float[np.ndarray, "k r"], weights: Float[np.ndarray, "r K"]
    ) -> Float[np.ndarray, "k K"]:
        """What weights of some features add to the gradient by others, by the covariance between the two."""
        of_labels = (self.axes * self.of_labels.astype(np.float32)) @ self.axes.T
        found: np.ndarray = covariance @ weights @ of_labels
        return found

    def inverse(self, covariance: Float[np.ndarray, "k k"] | None) -> "Inverse":
        """Its inverse on features of such a covariance; None stands for features that are not correlated."""
        largest = float(self.of_labels[-1])
        smallest = max(float(self.of_labels[1]), 1e-3 * largest)
        n_levels = 1 + min(int(np.log(largest / smallest) / np.log(_LEVEL_RATIO)), _MOST_LEVELS - 1)
        # In the middle of as many equal parts of the logarithmic range.
        levels = smallest * (largest / smallest) ** ((np.arange(n_levels) + 0.5) / n_levels)
        bounds = np.searchsorted(self.of_labels, np.sqrt(levels[1:] * levels[:-1])).tolist()
        flat = self.of_labels > 1e-6 * largest
        intercepts = np.where(flat, 1 / np.where(flat, self.of_labels, 1), 0).astype(np.float32)
        factors = None if covariance is None else [self._factor(covariance, each) for each in levels]
        return Inverse(self, factors, [0, *bounds, len(self.of_labels)], intercepts)

    def _factor(self, covariance: Float[np.ndarray, "k k"], level: float) -> Float[np.ndarray, "k k"]:
        """Cholesky factor of level * covariance + ridge."""
        curved = np.float32(level) * covariance
        # The second ridge keeps what rounds to single precision positive.
        curved.flat[:: len(curved) + 1] += np.float32(max(self.ridge, 1e-6 * len(curved) * level))
        factor: np.ndarray
        factor, failed = spotrf(curved.T, lower=True, overwrite_a=True)
        assert failed == 0
        return factor


@dataclass(frozen=True, eq=False)
class Inverse:
    """The inverse of a curvature; one Cholesky factor serves labels' eigenvalues that are near each other.

    Attributes
    ----------
    curvature
        What this is the inverse of.
    factors
        One for each part of the eigenvalues; None where features are taken as uncorrelated.
    bounds
        Where the parts begin and end.
    intercepts
        The inverse for intercepts, which features of mean 0 leave alone.
    """

    curvature: Curvature
    factors: Sequence[Float[np.ndarray, "k k"]] | None
    bounds: Sequence[int]
    intercepts: Float[np.ndarray, " K"]

    def __call__(self, gradient: Weights) -> Weights:
        """The step that would bring this gradient to 0."""
        axes = self.curvature.axes
        turned = axes.T @ gradient.T
        turned[:, -1] *= self.intercepts
        if self.factors is None:
            turned[:, :-1] /= (self.curvature.of_labels + self.curvature.ridge).astype(np.float32)[:, None]
        else:
            for factor, first, last in zip(self.factors, self.bounds[:-1], self.bounds[1:], strict=True):
                turned[first:last, :-1] = spotrs(factor, turned[first:last, :-1].T, lower=True)[0].T
        found: np.ndarray = (axes @ turned).T
        return found


def probabilities(logits: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
    """Softmax over labels."""
    found: np.ndarray = logits - logits.max(axis=1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(axis=1, keepdims=True)
    return found


def minimised(
    samples: Samples,
    start: Weights,
    covariance: Float[np.ndarray, "f f"] | None,
    ridge: float,
    tolerance: float,
) -> tuple[Weights, int]:
    """Weights that minimise mean cross-entropy + ridge / 2 * sum of squares (the intercepts' left out).

    Parameters
    ----------
    samples
        What is fitted to.
    start
        Where to start, (f + 1, K) float32.
    covariance
        Of the samples' features; None takes them as uncorrelated, which costs steps and no memory.
    ridge
        The penalty.
    tolerance
        See :func:`modalens.statistics.descent.minimised`, whose guess is the inverse of the curvature at the start.

    Returns
    -------
    weights
        (f + 1, K) float32.
    steps
        How many were taken.
    """
    chances = probabilities(samples.logits(start))
    inverse = Curvature.at(chances, ridge).inverse(covariance)
    return descent.minimised(_Objective(samples, inverse, ridge), start, tolerance)


class _Objective:
    """Mean cross-entropy and its penalty, as a :class:`modalens.statistics.descent.Regression`."""

    def __init__(self, samples: Samples, inverse: Inverse, ridge: float) -> None:
        self._samples = samples
        self.logits, self.gradient, self.guess = samples.logits, samples.gradient, inverse
        self.penalty = np.full((samples.values.shape[1] + 1, 1), ridge, dtype=np.float32)
        self.penalty[-1] = 0

    def __len__(self) -> int:
        return len(self._samples)

    def residual(self, logits: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
        return self._samples.residual(probabilities(logits))

    def dot(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(np.vdot(one, other))
