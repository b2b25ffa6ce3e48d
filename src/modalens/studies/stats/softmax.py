"""Softmax regression in few steps: L-BFGS with the Kronecker curvature of the problem as its first guess."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg.lapack import spotrf, spotrs

from modalens.arrays import Block

# Features whose products with each other are held. More, and more than there are samples, get a diagonal guess, which
# costs more steps, but less than factors of so large a matrix (4 times less for 496 samples of 1,024 sparse features).
_MOST_CORRELATED = 2_048
# Eigenvalues of labels that lie within such a ratio share a factor.
_LEVEL_RATIO, _MOST_LEVELS = 3, 4
_MEMORY = 6
_MOST_STEPS, _MOST_TRIES = 200, 6
# A step along a line ends where the slope is under this share of the first one.
_SLOPE = 0.5

# Weights (f, K) over one row of intercepts.
Weights = Float[np.ndarray, "f_and_1 K"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Training samples with features of mean 0, which sparse ones have without being made dense.

    Attributes
    ----------
    values
        (n, f), dense of mean 0 in Fortran order or CSR, float32.
    means
        What is to be taken off sparse features, (f,); None for dense ones.
    labels
        Number of each sample's label, (n,), from 0 to K - 1, each at least once.
    n_labels
        K.
    """

    values: Block
    means: Float[np.ndarray, " f"] | None
    labels: Int[np.ndarray, " n"]
    n_labels: int

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, kept: Int[np.ndarray, " k"]) -> Self:
        """The same with some of the features."""
        if self.means is None:  # by features, which lie together in memory
            return replace(self, values=self.values.T[kept].T)
        return replace(self, values=self.values[:, kept], means=self.means[kept])

    def logits(self, weights: Weights) -> Float[np.ndarray, "n K"]:
        """What each sample gives for each label."""
        found: np.ndarray = self.values @ weights[:-1]
        found += weights[-1] if self.means is None else weights[-1] - self.means @ weights[:-1]
        return found

    def gradient(self, residual: Float[np.ndarray, "n K"]) -> Weights:
        """Mean product of samples, and of the intercept's 1, with residuals."""
        sums = residual.sum(axis=0)
        products = self.values.T @ residual
        if self.means is not None:
            products -= np.outer(self.means, sums)
        found: np.ndarray = np.vstack([products, sums]) / np.float32(len(self))
        return found

    def residual(self, probability: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
        """Probability of each label less 1 for the right one, in place."""
        probability[np.arange(len(self)), self.labels] -= 1
        return probability

    def covariance(self) -> Float[np.ndarray, "f f"] | None:
        """Mean products of the features; None where they are too many for this to pay."""
        if self.values.shape[1] > min(_MOST_CORRELATED, len(self)):
            return None
        products = self.values.T @ self.values
        if self.means is None:
            found: np.ndarray = products / np.float32(len(self))
            return found
        dense: np.ndarray = products.toarray() / np.float32(len(self)) - np.outer(self.means, self.means)
        return dense


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
        It ends where the objective lies about this far over its minimum: half the product of gradient and step.

    Returns
    -------
    weights
        (f + 1, K) float32.
    steps
        How many were taken.

    Notes
    -----
    L-BFGS (Liu and Nocedal 1989), whose first guess is the inverse of the curvature where it starts. Logits are linear
    in weights, so a step is tried along its line by the slope there, which costs no product with the samples.
    """
    weights, logits = start, samples.logits(start)
    shrunk = np.full((len(start), 1), ridge, dtype=np.float32)
    shrunk[-1] = 0
    chances = probabilities(logits)
    inverse = Curvature.at(chances, ridge).inverse(covariance)
    gradient = samples.gradient(samples.residual(chances)) + shrunk * weights
    guess = inverse(gradient)
    memory: deque[_Step] = deque(maxlen=_MEMORY)
    for step in range(_MOST_STEPS):
        direction = -_newton(gradient, guess, memory)
        slope = float(np.vdot(gradient, direction))
        if -slope / 2 <= tolerance:
            return weights, step
        change = samples.logits(direction)
        pull = (float(np.vdot(shrunk * weights, direction)), float(np.vdot(shrunk * direction, direction)))
        size, residual = _along(samples, logits, change, slope, pull)
        logits += size * change
        moved = size * direction
        weights = weights + moved
        previous, last_guess = gradient, guess
        gradient = samples.gradient(residual) + shrunk * weights
        guess = inverse(gradient)
        memory.append(_Step(moved, gradient - previous, guess - last_guess))
        if not memory[-1].curved > 0:  # rounding is all that is left
            return weights, step + 1
    return weights, _MOST_STEPS


@dataclass(frozen=True, eq=False)
class _Step:
    """A step, the change of the gradient, and the guess of the step by this change."""

    moved: Weights
    turned: Weights
    guessed: Weights

    @cached_property
    def curved(self) -> float:
        return float(np.vdot(self.moved, self.turned))

    @cached_property
    def scale(self) -> float:
        """What makes the guess right in size along this step."""
        return self.curved / float(np.vdot(self.turned, self.guessed))


def _newton(gradient: Weights, guess: Weights, memory: Sequence[_Step]) -> Weights:
    """The inverse second derivative times the gradient: the guess of it, as the last steps have mended it."""
    found, left, shares = guess, gradient, []
    for step in reversed(memory):
        share = np.float32(np.vdot(step.moved, left) / step.curved)
        shares.append(share)
        left = left - share * step.turned
        found = found - share * step.guessed
    if memory:
        found = found * np.float32(memory[-1].scale)
    for step, share in zip(memory, reversed(shares), strict=True):
        found = found + (share - np.float32(np.vdot(step.turned, found) / step.curved)) * step.moved
    return found


def _along(
    samples: Samples,
    logits: Float[np.ndarray, "n K"],
    change: Float[np.ndarray, "n K"],
    slope: float,
    pull: tuple[float, float],
) -> tuple[np.float32, Float[np.ndarray, "n K"]]:
    """How far to go along a direction of descent, until the slope is small; and the residuals there.

    The objective is convex, so its slope rises along the line: secants between a place before the minimum and one
    behind it close in. ``pull`` is the penalty's part of the slope where the line begins, and how it grows.
    """
    low, high = (0.0, slope), None
    size = np.float32(1)
    for _ in range(_MOST_TRIES):
        residual = samples.residual(probabilities(logits + size * change))
        there = float(np.vdot(residual, change)) / len(samples) + pull[0] + float(size) * pull[1]
        if abs(there) <= _SLOPE * abs(slope):
            break
        if there < 0:
            low = (float(size), there)
        else:
            high = (float(size), there)
        if high is None:
            size = np.float32(4 * size)
        else:
            (a, left), (b, right) = low, high
            size = np.float32(
                np.clip((a * right - b * left) / (right - left), 0.9 * a + 0.1 * b, 0.1 * a + 0.9 * b)
            )
    return size, residual
