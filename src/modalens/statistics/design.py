"""The design matrix of a regression: features of mean 0, dense or sparse, beside an intercept."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block
from modalens.compiled import on_cores, one_blas_thread
from modalens.statistics.descent import Weights

# Features whose products with each other are held. More, and more than there are samples, get a diagonal guess, which
# costs more steps, but less than factors of so large a matrix (4 times less for 496 samples of 1,024 sparse features).
MOST_CORRELATED = 2_048
# Products of so many samples are taken on one core.
_SAMPLES = 2_048
# A feature that varies by less than this part of its size does so by rounding alone.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Design:
    """Samples with features of mean 0, which sparse ones have without being made dense.

    Attributes
    ----------
    values
        (n, f), dense of mean 0 or CSR, float32.
    means
        What is to be taken off sparse features, (f,); None for dense ones.
    """

    values: Block
    means: Float[np.ndarray, " f"] | None

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def only(self, kept: Int[np.ndarray, " k"]) -> Self:
        """The same with some of the features."""
        if self.means is None:  # by features, which lie together in memory
            return replace(self, values=self.values.T[kept].T)
        return replace(self, values=self.values[:, kept], means=self.means[kept])

    def logits(self, weights: Weights) -> Float[np.ndarray, "n K"]:
        """What each sample gives."""
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

    def covariance(self) -> Float[np.ndarray, "f f"] | None:
        """Mean products of the features; None where they are too many for this to pay."""
        if self.values.shape[1] > min(MOST_CORRELATED, len(self)):
            return None
        if self.means is None:
            parts = [(self.values[start : start + _SAMPLES],) for start in range(0, len(self), _SAMPLES)]
            with one_blas_thread():
                found: np.ndarray = sum(on_cores(_products, parts)) / np.float32(len(self))
            return found
        products = (self.values.T @ self.values).toarray()
        dense: np.ndarray = products / np.float32(len(self)) - np.outer(self.means, self.means)
        return dense


def _products(values: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "f f"]:
    found: np.ndarray = values.T @ values
    return found


def standardised(train: Block, test: Block) -> tuple[Design, Design]:
    """Samples whose features have mean 0 and standard deviation 1 in training, but those that do not vary there.

    Parameters
    ----------
    train, test
        Float32, dense or CSR; changed in place.
    """
    if sp.issparse(train):
        sums, squares = (
            np.bincount(train.indices, values, minlength=train.shape[1]) / train.shape[0]
            for values in (train.data, train.data.astype(np.float64) ** 2)
        )
        scale = _scale(sums, squares - sums**2)
        for side in (train, test):
            side.data *= (1 / scale).astype(np.float32)[side.indices]
        means = (sums / scale).astype(np.float32)
        return Design(train, means), Design(test, means)
    center = train.mean(axis=0, dtype=np.float64)
    for side in (train, test):
        side -= center.astype(np.float32)
    inverse = (1 / _scale(center, np.einsum("ij,ij->j", train, train) / len(train))).astype(np.float32)
    for side in (train, test):
        side *= inverse
    return Design(train, None), Design(test, None)


def _scale(means: Float[np.ndarray, " f"], variances: Float[np.ndarray, " f"]) -> Float[np.ndarray, " f"]:
    """Standard deviations, 1 where what varies is rounding."""
    scale: np.ndarray = np.sqrt(np.where(variances > (_ROUNDING * means) ** 2, variances, 1.0))
    return scale
