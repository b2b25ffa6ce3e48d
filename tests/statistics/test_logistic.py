"""Regressions fitted side by side, beside scikit-learn's fitted one after another."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from modalens.statistics import design
from modalens.statistics.design import standardised
from modalens.statistics.logistic import LogisticRegressions, curvature_factor

N, F = 1_200, 40


@pytest.fixture
def samples(rng) -> np.ndarray:
    """Correlated features of unlike size, one of which does not vary."""
    x = rng.normal(size=(N, F)) @ rng.normal(size=(F, F)) * np.geomspace(0.1, 10, F) + 3
    x[:, 5] = 0.7
    return x.astype(np.float32)


def labelled(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels that a line tells nearly all of, that overlap, and that mean nothing."""
    score = (samples - samples.mean(axis=0)) / np.maximum(samples.std(axis=0), 1e-6) @ rng.normal(size=F)
    noise = rng.normal(size=(N, 3)) * [0.05, 2, 1e6] * score.std()
    return np.where(score[:, None] + noise > 0, 1, -1).astype(np.float32)


def theirs(samples: np.ndarray, labels: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Held-out decisions and weights of the usual fit, at full convergence."""
    scaler = StandardScaler().fit(samples[~held_out].astype(float))
    x = scaler.transform(samples.astype(float))
    model = LogisticRegression(tol=1e-8, max_iter=10_000).fit(x[~held_out], labels[~held_out])
    return model.predict(x[held_out]), np.append(model.coef_[0], model.intercept_)


@pytest.mark.parametrize("kind", ["dense", "sparse", "uncorrelated"])
def test_fits_are_those_of_scikit_learn(kind, samples, rng, monkeypatch):
    if kind != "dense":
        samples = samples * (rng.random(samples.shape) < 0.4)
    if kind == "uncorrelated":  # features that are too many for their products to be held
        monkeypatch.setattr(design, "MOST_CORRELATED", 10)
    labels, held_out = labelled(samples, rng), np.arange(N) % 2 == 0
    sides = [samples[~held_out].copy(), samples[held_out].copy()]
    train, test = standardised(*(sides if kind == "dense" else [sp.csr_array(side) for side in sides]))
    covariance = train.covariance()
    assert (covariance is None) == (kind == "uncorrelated")
    factor = None if covariance is None else curvature_factor(covariance, 1 / len(train))
    weights = LogisticRegressions(train, labels[~held_out], 1 / len(train), factor).fitted(1e-9)
    logits = test.logits(weights)
    for way in range(3):
        decided, expected = theirs(samples, labels[:, way], held_out)
        right = np.mean(
            [np.where(logits[:, way] > 0, 1, -1) == labels[held_out, way], decided == labels[held_out, way]],
            axis=1,
        )
        assert right[0] == pytest.approx(right[1], abs=0.002)
        np.testing.assert_allclose(weights[:, way], expected, rtol=0, atol=0.005 * abs(expected).max())


def test_ways_do_not_depend_on_each_other(samples, rng):
    labels = labelled(samples, rng)
    train, _ = standardised(samples.copy(), samples[:2].copy())
    factor = curvature_factor(train.covariance(), 1 / N)
    together = LogisticRegressions(train, labels, 1 / N, factor).fitted(1e-7)
    for way in range(3):
        alone = LogisticRegressions(train, labels[:, [way]], 1 / N, factor).fitted(1e-7)
        np.testing.assert_allclose(together[:, [way]], alone, rtol=0, atol=0.003 * abs(alone).max())
