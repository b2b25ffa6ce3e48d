"""Logistic regressions of the same samples for several ways to label them, fitted side by side."""

import numpy as np
from jaxtyping import Float
from scipy.linalg.lapack import spotrf, spotrs
from scipy.special import expit

from modalens.compiled import one_blas_thread
from modalens.statistics.descent import Weights, minimised
from modalens.statistics.design import Design

# Second derivative of the loss by a logit of 0.
_CURVED = np.float32(0.25)


class LogisticRegressions:
    """Mean logistic loss + ridge / 2 * sum of squared weights (intercepts left out), for K ways to label the samples.

    A :class:`modalens.statistics.descent.Regression`: every column of weights belongs to one way. The guess is the
    inverse of the second derivative at weights of 0, which is the same for all.

    Parameters
    ----------
    design
        The samples, (n, f).
    labels
        1 or -1, (n, K) float32.
    ridge
        The penalty; 1 / (C n) in the terms of scikit-learn's ``LogisticRegression``.
    factor
        What :func:`curvature_factor` gives of the features' covariance; None takes them as uncorrelated, which costs
        steps and no memory.
    """

    def __init__(
        self,
        design: Design,
        labels: Float[np.ndarray, "n K"],
        ridge: float,
        factor: Float[np.ndarray, "f f"] | None,
    ) -> None:
        self._labels, self._ridge, self._n = labels, np.float32(ridge), len(design)
        self.logits, self.gradient = design.logits, design.gradient
        self.penalty = np.full((design.values.shape[1] + 1, 1), ridge, dtype=np.float32)
        self.penalty[-1] = 0
        self._factor = factor

    def __len__(self) -> int:
        return self._n

    def fitted(self, tolerance: float) -> Weights:
        """Weights (f + 1, K) whose objectives lie about this far over their minima, from weights of 0."""
        start = np.zeros((len(self.penalty), self._labels.shape[1]), dtype=np.float32)
        weights, _ = minimised(self, start, tolerance)
        return weights

    def residual(self, logits: Float[np.ndarray, "n K"]) -> Float[np.ndarray, "n K"]:
        """Derivative of each sample's loss by its logits."""
        found: np.ndarray = -self._labels * expit(-self._labels * logits)
        return found

    def guess(self, gradient: Weights) -> Weights:
        """The step that would bring this gradient to 0 if curvature were that at weights of 0."""
        found = gradient / _CURVED
        if self._factor is None:
            found[:-1] = gradient[:-1] / (_CURVED + self._ridge)
        else:
            found[:-1] = spotrs(self._factor, gradient[:-1], lower=True)[0]
        return found

    def dot(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Sum of products over each column."""
        found: np.ndarray = np.einsum("ij,ij->j", one, other)
        return found


def curvature_factor(covariance: Float[np.ndarray, "f f"], ridge: float) -> Float[np.ndarray, "f f"]:
    """Cholesky factor of the second derivative of the objective at weights of 0."""
    curved = _CURVED * covariance
    # Some more of the ridge keeps what rounds to single precision positive.
    curved.flat[:: len(curved) + 1] += np.float32(max(ridge, 1e-6 * len(curved) * float(_CURVED)))
    factor: np.ndarray
    with one_blas_thread():  # several would mostly spin
        factor, failed = spotrf(curved.T, lower=True, overwrite_a=True)
    assert failed == 0
    return factor
