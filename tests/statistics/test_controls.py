import numpy as np
import pytest
from scipy.stats import t as student

from modalens.statistics.controls import against_random, corrected, one_more_draw, t_test


def naive_noise(values: np.ndarray, keys: np.ndarray) -> float:
    mean = sum(values) / len(values)
    return (
        sum(
            sum(v - mean for v, own in zip(values, keys, strict=True) if own == key) ** 2
            for key in set(keys.tolist())
        )
        / len(values) ** 2
    )


@pytest.mark.parametrize("grouped", [False, True])
def test_the_test_against_random_sets_is_its_formula(rng, grouped):
    draws = rng.random((20, 90)) < 0.7
    own = rng.random(90) < 0.5
    keys = rng.integers(0, 30, 90) if grouped else np.arange(90)
    mean = draws.mean(axis=0)
    accuracies = [each.mean() for each in draws]
    centre = sum(accuracies) / 20
    spread = sum((a - centre) ** 2 for a in accuracies) / 19
    v = naive_noise(own - mean, keys)
    w = sum(naive_noise(each - mean, keys) for each in draws) / 20 * 20 / 19
    groups = len(set(keys.tolist()))
    v, w = (each * groups / (groups - 1) for each in (v, w))
    scale = np.sqrt(1.05 * spread + max(0, v - 1.05 * w) + 1 / (12 * 90**2))
    found = against_random(own, draws, keys)
    assert found.difference == pytest.approx(own.mean() - centre)
    assert found.p == pytest.approx(2 * student.sf(abs(found.difference) / scale, 19))
    assert found.low == pytest.approx(found.difference - student.ppf(0.975, 19) * scale)
    assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


def test_its_p_is_uniform_where_the_set_is_one_more_draw():
    """Samples of unequal difficulty, in groups, and sets that share most of their predictions."""
    rng = np.random.default_rng(0)
    p = []
    for _ in range(600):
        keys = rng.integers(0, 40, 120)
        difficulty = rng.normal(size=120) + rng.normal(size=40)[keys]
        every = difficulty + rng.normal(0, 0.3, (21, 1)) + rng.normal(0, 0.5, (21, 40))[:, keys] > 0
        p.append(against_random(every[0], every[1:], keys).p)
    for level in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(np.array(p) < level) < level + 3 * np.sqrt(level * (1 - level) / 600)
    assert np.mean(np.array(p) < 0.2) > 0.1  # careful, and not blind


def test_noise_of_the_test_pairs_is_counted_where_random_sets_hide_it():
    """All random sets predict alike; the set predicts as well as they do, but on other samples."""
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(400):
        draws = np.repeat((rng.random(200) < 0.6)[None], 20, axis=0)
        below += against_random(rng.random(200) < 0.6, draws, np.arange(200)).p < 0.05
    assert below < 40


def test_no_difference_at_all_is_no_evidence():
    same = np.ones((20, 30), dtype=bool)
    assert against_random(same[0], same, np.arange(30)).p == 1
    assert against_random(~same[0], same, np.arange(30)).p < 1e-6


def test_one_more_draw_falls_into_the_interval(rng):
    inside = 0
    for _ in range(2000):
        values = rng.normal(3, 2, 21)
        low, high = one_more_draw(values[1:])
        inside += low <= values[0] <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("groups", [4, 12])
@pytest.mark.parametrize("kind", ["one more set", "other samples"])
def test_its_size_holds_with_few_groups(groups, kind):
    """With the degrees of freedom of the sets alone 4 images are told from random ones in 14 % of cases."""
    rng = np.random.default_rng([groups, len(kind)])
    keys, found = np.repeat(np.arange(groups), 2), 0
    for _ in range(1_500):
        if kind == "one more set":
            outcomes = rng.normal(size=(21, 1)) + rng.normal(size=groups) + rng.normal(size=(21, groups))
        else:  # random sets act on no image, the set on some more than on others
            outcomes = np.repeat(rng.normal(size=(1, groups)), 21, axis=0)
            outcomes[0] += rng.normal(size=groups)
        found += against_random(outcomes[0][keys], outcomes[1:, keys], keys).p < 0.05
    assert found / 1_500 < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 1_500)


def test_the_smallest_detectable_difference_is_found_in_four_of_five():
    rng = np.random.default_rng(0)
    effect = t_test(0.0, np.array([-1.0, 1.0] * 10) * np.sqrt(19 / 20)).detectable  # of sets that spread by 1
    found = sum(
        t_test(effect + rng.normal() - draws.mean(), draws).p < 0.05 for draws in rng.normal(size=(2_000, 20))
    )
    assert found / 2_000 == pytest.approx(0.8, abs=0.03)


def test_one_group_or_one_set_says_nothing():
    for found in (t_test(0.5, np.arange(5.0), groups=1), t_test(0.5, np.ones(1), groups=9)):
        assert found.difference == 0.5
        assert np.isnan([found.low, found.high, found.p, found.detectable]).all()


def test_p_values_of_a_table_are_corrected_together():
    p = np.array([[0.01, np.nan], [0.02, 0.9]])
    np.testing.assert_allclose(corrected(p), [[0.03, np.nan], [0.03, 0.9]])
    assert np.isnan(corrected(np.array([np.nan]))).all()
