"""Classifiers without some features, beside scikit-learn's fitted one after another."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from modalens.statistics import design
from modalens.studies.stats import fold_classifier, softmax
from modalens.studies.stats.fold_classifier import CLASSIFIER, FoldClassifier

N, F = 600, 60


def labelled(rng, n_labels: int, n: int = N, f: int = F) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features of unlike size, labels of unlike frequency that overlap."""
    labels = rng.choice(n_labels, n, p=(share := np.arange(1, n_labels + 1.0)) / share.sum())
    spread = np.arange(1, f + 1.0) ** -0.5
    x = rng.normal(size=(n_labels, f))[labels] * spread + 2 * rng.normal(size=(n, f)) * spread
    return x @ rng.normal(size=(f, f)) + 3, labels


def split_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(n)
    return rows[rows % 3 > 0], rows[rows % 3 == 0]


def exact(x, labels, split, removed) -> tuple[np.ndarray, LogisticRegression]:
    """The fit written down: zeroed features, standardised, at full convergence."""
    train, test = split
    x = x.copy()
    x[:, removed] = 0
    scaler = StandardScaler().fit(x[train])
    model = LogisticRegression(**CLASSIFIER, tol=1e-8, max_iter=10_000)
    model.fit(scaler.transform(x[train]), labels[train])
    return model.predict(scaler.transform(x[test])), model


def some_sets(rng, f: int = F) -> list[np.ndarray]:
    sizes = (0, 1, f // 10, f // 2, f // 2, f - 1)
    return [np.sort(rng.choice(f, size, replace=False)) for size in sizes]


@pytest.mark.parametrize("n_labels", [2, 3, 20])
def test_predictions_are_those_of_exact_fits(rng, n_labels):
    x, labels = labelled(rng, n_labels)
    split, removed = split_of(N), some_sets(rng)
    found = FoldClassifier(x, labels, split).predict(removed)
    assert found.shape == (len(removed), len(split[1]))
    for ours, each in zip(found, removed, strict=True):
        theirs, _ = exact(x, labels, split, each)
        assert abs((ours == labels[split[1]]).mean() - (theirs == labels[split[1]]).mean()) <= 0.002
        assert (ours != theirs).mean() <= 0.005


@pytest.mark.parametrize("n_labels", [2, 20])
def test_weights_are_near_those_of_exact_fits(rng, n_labels):
    x, labels = labelled(rng, n_labels)
    split = split_of(N)
    removed = np.sort(rng.choice(F, F // 2, replace=False))
    fold = FoldClassifier(x, labels, split)
    weights = fold._weights_without(removed)
    assert (weights[removed] == 0).all()
    _, model = exact(x, labels, split, removed)
    if n_labels == 2:  # scikit-learn keeps what one label has over the other
        weights = weights[:, 1:] - weights[:, :1]
    np.testing.assert_allclose(weights[:-1].T, model.coef_, atol=0.002 * abs(model.coef_).max())
    own, theirs = weights[-1] - weights[-1].mean(), model.intercept_ - model.intercept_.mean()
    if n_labels == 2:
        own, theirs = weights[-1], model.intercept_
    np.testing.assert_allclose(own, theirs, atol=0.002)


def test_sparse_features_give_what_dense_ones_give(rng, monkeypatch):
    x, labels = labelled(rng, 5)
    x[rng.random(x.shape) < 0.7] = 0
    split, removed = split_of(N), some_sets(rng)
    dense = FoldClassifier(x, labels, split).predict(removed)
    assert (FoldClassifier(sp.csr_array(x), labels, split).predict(removed) == dense).mean() > 0.999
    monkeypatch.setattr(design, "MOST_CORRELATED", 10)  # features that are too many for a covariance
    wide = FoldClassifier(sp.csr_array(x), labels, split)
    assert wide._covariance is None
    assert (wide.predict(removed) == dense).mean() > 0.998


def test_cores_do_not_matter(rng, monkeypatch):
    x, labels = labelled(rng, 4)
    removed = some_sets(rng)
    found = []
    for cores in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        found.append(FoldClassifier(x, labels, split_of(N)).predict(removed))
    np.testing.assert_array_equal(*found)


def test_a_fold_of_one_label_names_it(rng):
    x, labels = labelled(rng, 3)
    train = np.flatnonzero(labels == 1)
    test = np.flatnonzero(labels != 1)
    found = FoldClassifier(x, labels, (train, test)).predict(some_sets(rng))
    assert (found == 1).all()


def test_a_label_that_a_fold_lacks_is_never_named(rng):
    x, labels = labelled(rng, 4)
    train, test = split_of(N)
    train = train[labels[train] != 1]
    removed = some_sets(rng)
    found = FoldClassifier(x, labels, (train, test)).predict(removed)
    assert not (found == 1).any()
    for ours, each in zip(found, removed, strict=True):
        assert (ours != exact(x, labels, (train, test), each)[0]).mean() <= 0.005


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_without_any_feature_the_commonest_label_is_named(rng, make):
    x, labels = labelled(rng, 4)
    train, test = split_of(N)
    found = FoldClassifier(make(x), labels, (train, test)).predict([np.arange(F)])
    assert (found == np.bincount(labels[train]).argmax()).all()


def test_constant_features_and_copies_are_no_trouble(rng):
    x, labels = labelled(rng, 3)
    x[:, 3] = 7
    x[:, 10:20] = x[:, :1]
    split, removed = split_of(N), some_sets(rng)
    found = FoldClassifier(x, labels, split).predict(removed)
    for ours, each in zip(found, removed, strict=True):
        assert (ours != exact(x, labels, split, each)[0]).mean() <= 0.005


def test_more_features_than_samples(rng):
    x, labels = labelled(rng, 3, n=90, f=200)
    split, removed = split_of(90), some_sets(rng, 200)
    found = FoldClassifier(x, labels, split).predict(removed)
    for ours, each in zip(found, removed, strict=True):
        np.testing.assert_array_equal(ours, exact(x, labels, split, each)[0])


def test_labels_that_one_feature_tells_at_once(rng):
    """Separable, at a scale where a full first step goes far too far."""
    labels = np.repeat([0, 1, 2], 100)
    x = rng.normal(size=(300, 8))
    x[:, 0] = 1e4 * labels
    split = split_of(300)
    found = FoldClassifier(x, labels, split).predict([np.arange(1, 8), np.arange(0)])
    assert (found == labels[split[1]]).mean() > 0.95


def test_a_fit_takes_few_steps(rng, monkeypatch):
    """Each step costs two products with the samples; scikit-learn's own solver takes 50 and more from nothing."""
    x, labels = labelled(rng, 10, n=3000)
    taken: list[int] = []

    def counted(*given):
        weights, steps = minimised(*given)
        taken.append(steps)
        return weights, steps

    minimised = softmax.minimised
    monkeypatch.setattr(fold_classifier, "minimised", counted)
    split = split_of(3000)
    FoldClassifier(x, labels, split).predict(some_sets(rng))
    model = exact(x, labels, split, np.arange(0))[1]
    assert model.n_iter_[0] > 50
    assert max(taken) <= 15
