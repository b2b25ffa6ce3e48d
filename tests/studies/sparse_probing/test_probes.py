"""Probes against the plain way of writing them down."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from modalens.studies.sparse_probing.attributes import attributes_of
from modalens.studies.sparse_probing.balanced import accuracy_interval, balanced_accuracy, mean_accuracy
from modalens.studies.sparse_probing.config import DictionaryBenchConfig
from modalens.studies.sparse_probing.probes import (
    SPARSE_C,
    dense_probes,
    label_correlations,
    logistic_fits,
    prior_logit,
    sparse_answers,
)


def samples(n: int = 300, f: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = np.where(random.random((n, f)) < 0.4, random.random((n, f)), 0)
    labels = np.stack([x[:, place] + 0.3 * random.standard_normal(n) > 0.5 for place in range(3)])
    return x, labels


def test_correlations_are_those_of_numpy_with_and_without_weights() -> None:
    x, labels = samples()
    x[:, 5] = 0.25
    weights = np.random.default_rng(1).integers(0, 3, len(x))
    for weight, rows in ((None, np.arange(len(x))), (weights, np.repeat(np.arange(len(x)), weights))):
        varies = np.delete(np.arange(x.shape[1]), 5)
        naive = np.corrcoef(labels[:, rows].astype(float), x[np.ix_(rows, varies)].T)[:3, 3:]
        for matrix in (x, sp.csr_array(x)):
            found = label_correlations(matrix, labels, weight)
            assert found[:, varies] == pytest.approx(naive, abs=1e-9)
            assert (found[:, 5] == 0).all()


def test_probes_of_few_features_are_scikit_learns() -> None:
    x, labels = samples()
    picks = np.array([[0, 4], [1, 7], [2, 3]])
    scaled = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    weights = logistic_fits(np.stack([scaled[:, pick] for pick in picks]), labels)
    for place, pick in enumerate(picks):
        naive = LogisticRegression(C=SPARSE_C, class_weight="balanced", tol=1e-8)
        naive.fit(scaled[:, pick], labels[place])
        assert weights[place, :-1] == pytest.approx(naive.coef_[0], abs=2e-3)
        assert weights[place, -1] == pytest.approx(naive.intercept_[0], abs=2e-3)
        answers = sparse_answers((sp.csr_array(x), x), picks, labels)[place]
        logit = naive.decision_function(scaled[:, pick])
        clear = np.abs(logit) > 0.01
        assert (answers[clear] == (logit > 0)[clear]).all()


def test_rare_labels_that_many_features_separate_are_found_again() -> None:
    random = np.random.default_rng(2)
    labels = np.arange(1000) < 30
    x = random.standard_normal((1000, 20)) + 0.9 * labels[:, None]
    rows = random.permutation(1000)
    right = sparse_answers((x[rows[:700]], x[rows[700:]]), np.arange(20)[None], labels[None, rows[:700]])[0]
    told = labels[rows[700:]]
    assert right[told].mean() > 0.8
    assert right[~told].mean() < 0.1


def test_a_feature_that_tells_all_and_one_that_never_varies_do_no_harm() -> None:
    x, _ = samples()
    labels = (x[:, [0]] > 0).T
    x[:, 1] = 0.5
    assert (sparse_answers((x, x), np.array([[0, 1]]), labels) == labels).mean() > 0.9
    weights, intercepts = dense_probes(x, labels)
    assert np.isfinite(weights).all()
    assert np.isfinite(intercepts).all()
    assert weights[1, 0] == 0


def test_dense_probes_are_scikit_learns_with_the_prior_taken_off() -> None:
    x, labels = samples()
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    for matrix in (x, sp.csr_array(x)):
        weights, intercepts = dense_probes(matrix, labels)
        for place in range(3):
            naive = LogisticRegression(C=0.01, tol=1e-8).fit(scaled, labels[place])
            logits = naive.decision_function(scaled) - prior_logit(labels[place])
            assert x @ weights[:, place] + intercepts[place] == pytest.approx(logits, abs=0.02)


def test_balanced_accuracy_has_an_interval_that_knows_groups_and_bounds() -> None:
    labels = np.arange(200) % 4 == 0
    keys = np.arange(200)
    right = np.ones(200, dtype=bool)
    sure = accuracy_interval(right, labels, keys)
    assert sure.value == 1
    assert 0.9 < sure.low < 1
    right[:20] = False
    alone = accuracy_interval(right, labels, keys)
    naive = (right[labels].mean() + right[~labels].mean()) / 2
    assert alone.value == pytest.approx(naive)
    together = accuracy_interval(right, labels, keys // 10)
    assert together.high - together.low > alone.high - alone.low
    found = mean_accuracy(np.stack([right, right]), np.stack([labels, ~labels]), keys, 0)
    assert found.value == pytest.approx(naive)
    assert found.low < naive < found.high
    assert balanced_accuracy(right[None], labels[None])[0] == pytest.approx(naive)


def test_shuffled_attributes_stay_together_within_groups() -> None:
    groups = np.arange(300) // 3
    kinds = np.array([f"k{each % 3}" for each in groups])
    attributes = attributes_of({"kind": kinds}, 300, groups, DictionaryBenchConfig(least=10))
    shuffled = attributes.positive[:, attributes.shuffled([0, 1])]
    assert (shuffled.sum(axis=1) == attributes.positive.sum(axis=1)).all()
    assert (shuffled[:, ::3] == shuffled[:, 1::3]).all()
    assert (shuffled != attributes.positive).any()


def test_the_commonest_attributes_are_taken_and_pairs_without_a_label_left_out() -> None:
    kinds = np.array(["a"] * 50 + ["b"] * 40 + ["c"] * 30 + [None] * 5, dtype=object)
    found = attributes_of({"kind": kinds}, 125, None, DictionaryBenchConfig(attributes=2))
    assert found.names == ("a", "b")
    assert len(found.pairs) == 120
    assert any("5 of 125 pairs lack a label" in note for note in found.pairs.notes)
    assert any("Of 3 attributes of kind the commonest 2" in note for note in found.pairs.notes)
    assert found.weights[0] @ np.ones(120) == pytest.approx(120)
