"""Names are found without the gap, and scored beside those of other features."""

import numpy as np
import pytest
import scipy.sparse as sp

from modalens.interpret.names import (
    HeldOut,
    firing,
    log_odds,
    nearest_words,
    score_names,
    unit,
    without_means,
)

F, D, N = 24, 40, 600


def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Concepts as orthogonal directions, images and texts around means far apart, and which concept each has."""
    rng = np.random.default_rng(0)
    concepts = np.linalg.qr(rng.normal(size=(D, D)))[0][:F]
    means = np.stack([concepts[0] + concepts[1], -concepts[0] + concepts[2]]) * 3
    has = np.arange(N) % F
    return concepts, means, has, concepts[has] + 0.1 * rng.normal(size=(N, D))


def test_the_gap_is_gone_from_directions_and_words() -> None:
    concepts, means, _, _ = planted()
    directions, words = 0.5 * concepts + means[0], concepts + means[1]
    words = np.concatenate([words, means[:1] + 0.1])  # near to every image direction
    truth = np.arange(4, F)
    plain = nearest_words(unit(directions), unit(words))
    found = nearest_words(without_means(directions, means, None), without_means(words, means, words.mean(0)))
    assert (found[truth] == truth).mean() > 0.9
    assert (plain[truth] == truth).mean() < 0.5
    np.testing.assert_allclose(without_means(words, means, None) @ means.T, 0, atol=1e-9)


def test_true_names_beat_shuffled_ones_and_random_names_do_not() -> None:
    concepts, _, has, samples = planted()
    fires = np.equal.outer(has, np.arange(F))
    held = {"image": HeldOut(unit(samples), sp.csc_array(fires))}
    right = score_names(np.arange(F), concepts, held, shuffles=99)
    assert np.nanmin(right["image_detection"]) > 0.95
    assert (right["p"] <= 0.05).all()
    np.testing.assert_allclose(np.nanmean(right["image_detection_shuffled"]), 0.5, atol=0.05)
    assert np.nanmean(right["image_intruder"]) > 0.9
    wrong = score_names(np.roll(np.arange(F), 1), concepts, held, shuffles=99)
    assert (wrong["p"] > 0.05).all()


def test_detection_is_the_area_under_the_curve_and_rare_features_have_none() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    samples, words = unit(rng.normal(size=(80, 5))), unit(rng.normal(size=(3, 5)))
    fires = rng.random((80, 3)) < 0.3
    fires[:, 2] = np.arange(80) < 4
    found = score_names(np.arange(3), words, {"text": HeldOut(samples, sp.csc_array(fires))}, shuffles=19)
    expected = metrics.roc_auc_score(fires[:, 0], samples @ words[0])
    assert found["text_detection"][0] == pytest.approx(expected)
    assert np.isnan(found["text_detection"][2])
    assert np.isnan(found["p"][2])


def test_distinctive_words_have_the_largest_log_odds() -> None:
    rng = np.random.default_rng(2)
    has = (rng.random((300, 10)) < 0.2).astype(float)
    inside = np.zeros((2, 300))
    inside[0, :40] = inside[1, 40:80] = 1
    has[:30, 3] = has[40:75, 7] = 1
    z = log_odds(sp.csr_array(inside), sp.csr_array(has)).toarray()
    assert z.argmax(axis=1).tolist() == [3, 7]


def test_a_feature_that_fires_for_most_counts_by_its_strongest_tenth() -> None:
    values = np.stack([np.arange(100.0) - 20, np.where(np.arange(100) < 5, 1.0, 0.0)], axis=1)
    for codes in (values, sp.csr_array(values)):
        assert np.diff(sp.csc_array(firing(codes, most=150)).indptr).tolist() == [10, 5]
