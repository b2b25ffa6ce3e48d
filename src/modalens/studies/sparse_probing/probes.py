"""Linear probes of attributes: of all features, and of a few."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Float32, Int
from scipy.special import expit

from modalens.arrays import Block
from modalens.compiled import one_blas_thread
from modalens.statistics.design import Design
from modalens.statistics.logistic import LogisticRegressions, curvature_factor
from modalens.studies.stats.fold_classifier import CLASSIFIER

# Of a probe of few features, in the terms of scikit-learn's LogisticRegression: the best of 1, 0.1 and 0.01, measured
# on 1, 5 and 20 dense and sparse features of 1,000 pairs.
SPARSE_C = 0.1
_NEWTON_STEPS, _LONGEST, _DONE = 25, 4.0, 1e-6
_MOST_NUMBERS = 2**22
# A feature that varies by less than this part of its size does so by rounding alone.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and standard deviation of features in training; 1 for those that do not vary."""

    mean: Float[np.ndarray, " f"]
    deviation: Float[np.ndarray, " f"]
    varies: Bool[np.ndarray, " f"]

    @classmethod
    def of(cls, x: Block) -> "Scaling":
        """The scaling of samples (n, f)."""
        mean = np.asarray(x.mean(axis=0)).ravel()
        squares = x.multiply(x) if sp.issparse(x) else x**2
        variance = np.asarray(squares.mean(axis=0)).ravel() - mean**2
        varies = variance > (_ROUNDING * np.abs(mean)) ** 2
        return cls(mean, np.sqrt(np.where(varies, variance, 1.0)), varies)


def label_correlations(
    x: Block, labels: Bool[np.ndarray, "A n"], weights: Float[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, "A f"]:
    """Correlation of every feature with every attribute over samples; 0 where one does not vary.

    Parameters
    ----------
    x
        Features (n, f), dense or CSR.
    labels
        Who has the attributes.
    weights
        How often each sample counts; once by default.
    """
    n = x.shape[0]
    share = (np.ones(n) if weights is None else weights.astype(np.float64)) / (
        n if weights is None else weights.sum()
    )
    y = labels.astype(np.float64)
    mean_y, mean_x = y @ share, np.asarray(x.T @ share).ravel()
    squares = x.multiply(x) if sp.issparse(x) else x**2
    var_x = np.asarray(squares.T @ share).ravel() - mean_x**2
    products = np.asarray(x.T @ (y * share).T).T - np.outer(mean_y, mean_x)
    scale = np.sqrt(np.outer(mean_y * (1 - mean_y), np.where(var_x > (_ROUNDING * mean_x) ** 2, var_x, 0)))
    found: np.ndarray = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return found


def strongest(correlations: Float[np.ndarray, "A f"], number: int) -> Int[np.ndarray, "A k"]:
    """The features that correlate most with each attribute, by size, strongest first; of equals the first."""
    return np.argsort(-np.abs(correlations), axis=1, kind="stable")[:, :number]


def prior_logit(labels: Bool[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b"]:
    """Logarithm of the odds of a label; off the intercept, a probe takes both answers for as likely beforehand."""
    having = labels.sum(axis=-1)
    found: np.ndarray = np.log(np.maximum(having, 0.5)) - np.log(np.maximum(labels.shape[-1] - having, 0.5))
    return found


def dense_probes(
    x: Block, labels: Bool[np.ndarray, "A n"]
) -> tuple[Float[np.ndarray, "f A"], Float[np.ndarray, " A"]]:
    """Logistic regressions of all features, one an attribute: weights of features as they are, and intercepts.

    Both answers are equally likely beforehand (King and Zeng 2001).
    """
    scaling = Scaling.of(x)
    if sp.issparse(x):
        values = sp.csr_array(x / scaling.deviation, dtype=np.float32)
        design = Design(values, (scaling.mean / scaling.deviation).astype(np.float32))
    else:
        design = Design(np.asfortranarray((x - scaling.mean) / scaling.deviation, dtype=np.float32), None)
    ridge = 1 / (CLASSIFIER["C"] * len(design))
    covariance = design.covariance()
    factor = None if covariance is None else curvature_factor(covariance, ridge)
    with one_blas_thread():
        signs = np.where(labels.T, 1, -1).astype(np.float32)
        weights = LogisticRegressions(design, signs, ridge, factor).fitted(1e-6).astype(np.float64)
    unscaled = weights[:-1] / scaling.deviation[:, None]
    unscaled[~scaling.varies] = 0
    return unscaled, weights[-1] - scaling.mean @ unscaled - prior_logit(labels)


def sparse_answers(
    x: tuple[Block, Block], picks: Int[np.ndarray, "B k"], labels: Bool[np.ndarray, "B a"]
) -> Bool[np.ndarray, "B b"]:
    """Answers on test samples by logistic regressions of k features each.

    Parameters
    ----------
    x
        Training and test samples, (a, f) and (b, f).
    picks
        The features that each probe reads.
    labels
        What each is to learn.
    """
    used, place = np.unique(picks, return_inverse=True)
    place = place.reshape(picks.shape)
    train, test = (_columns(each, used) for each in x)
    scaling = Scaling.of(train)
    train, test = (
        np.where(scaling.varies, (each - scaling.mean) / scaling.deviation, 0).astype(np.float32)
        for each in (train, test)
    )
    step = max(1, _MOST_NUMBERS // (len(train) * picks.shape[1]))
    found = np.empty((len(picks), len(test)), dtype=bool)
    for start in range(0, len(picks), step):
        part = slice(start, start + step)
        weights = logistic_fits(np.swapaxes(train.T[place[part]], 1, 2), labels[part])
        scores = np.einsum("bkn,bk->bn", test.T[place[part]], weights[:, :-1])
        found[part] = scores + weights[:, -1:] > 0
    return found


def logistic_fits(
    x: Float32[np.ndarray, "B n k"], labels: Bool[np.ndarray, "B n"]
) -> Float[np.ndarray, "B k1"]:
    """Weights, the intercept last, of logistic regressions side by side, by Newton's method.

    The objective is that of scikit-learn's ``LogisticRegression`` with balanced class weights: rare labels count as
    much as their absence.
    """
    count, n, k = x.shape
    ridge = np.append(np.full(k, 1 / (SPARSE_C * n)), 1e-9)
    weights = np.zeros((count, k + 1))
    having = np.maximum(labels.sum(axis=1, keepdims=True), 1)
    balance = (n / 2 / np.where(labels, having, np.maximum(n - having, 1))).astype(np.float32)
    for _ in range(_NEWTON_STEPS):
        chance = expit(np.einsum("bnk,bk->bn", x, weights[:, :-1].astype(np.float32)) + weights[:, -1:])
        residual = (chance - labels).astype(np.float32) * balance
        curved = (chance * (1 - chance)).astype(np.float32) * balance
        weighed = np.swapaxes(x, 1, 2) * curved[:, None]
        second = np.empty((count, k + 1, k + 1))
        second[:, :-1, :-1] = weighed @ x
        second[:, -1, :-1] = second[:, :-1, -1] = weighed.sum(axis=2)
        second[:, -1, -1] = curved.sum(axis=1)
        second /= n
        second[:, np.arange(k + 1), np.arange(k + 1)] += ridge + 1e-7  # what single precision rounds
        slope = np.concatenate(
            [np.einsum("bnk,bn->bk", x, residual), residual.sum(axis=1, keepdims=True)], axis=1
        )
        step = np.linalg.solve(second, (slope / n + ridge * weights)[..., None])[..., 0]
        step *= np.minimum(1, _LONGEST / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-12))
        weights -= step
        if np.abs(step).max() < _DONE * 1e3:
            break
    return weights


def _columns(x: Block, used: Int[np.ndarray, " u"]) -> Float[np.ndarray, "n u"]:
    found = x[:, used]
    return np.asarray(found.toarray() if sp.issparse(found) else found, dtype=np.float64)
