"""Agreement of two classifications against scikit-learn, and its intervals against plain resampling."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score

from modalens.dominance.classes import DEAD
from modalens.studies.stats.contingency import adjusted_rands, class_agreement, count_tables, same_shares


def codes(rng: np.random.Generator, f: int, r: int, kept: float) -> tuple[np.ndarray, np.ndarray]:
    """Two classifications, the second keeping a class with a probability; some features dead on either side."""
    first = rng.choice(4, (f, r), p=[0.3, 0.4, 0.2, 0.1]).astype(np.int8)
    second = np.where(rng.random((f, r)) < kept, first, rng.integers(0, 4, (f, r))).astype(np.int8)
    return first, second


def test_values_are_the_libraries_over_features_live_in_both(rng):
    first, second = codes(rng, 150, 6, 0.6)
    found = class_agreement(first, second, seed=0)
    expected: dict[str, list[float]] = {"features": [], "same": [], "ari": [], "kappa": []}
    for a, b in zip(first.T, second.T, strict=True):
        live = (a != DEAD) & (b != DEAD)
        expected["features"].append(live.sum())
        expected["same"].append((a[live] == b[live]).mean())
        expected["ari"].append(adjusted_rand_score(a[live], b[live]))
        expected["kappa"].append(cohen_kappa_score(a[live], b[live]))
    for name, values in expected.items():
        assert getattr(found, name) == pytest.approx(
            np.mean(values), abs=0.5 if name == "features" else 1e-12
        )
    assert list(found.to_dict())[:4] == ["features", "same", "same_low", "same_high"]


def test_many_indices_at_once_are_those_of_scikit_learn(rng):
    first, second = rng.integers(0, 3, (2, 40, 30))
    tables = count_tables(first, second)
    np.testing.assert_allclose(
        adjusted_rands(tables), [adjusted_rand_score(a, b) for a, b in zip(first.T, second.T, strict=True)]
    )
    np.testing.assert_allclose(same_shares(tables), (first == second).mean(axis=0))


def test_intervals_are_those_of_resampled_features(rng):
    first, second = codes(rng, 200, 1, 0.7)
    found = class_agreement(first, second, seed=1)
    live = np.flatnonzero((first[:, 0] != DEAD) & (second[:, 0] != DEAD))
    a, b = first[live, 0], second[live, 0]
    plain = []
    for _ in range(400):
        rows = rng.integers(0, len(a), len(a))
        plain.append((cohen_kappa_score(a[rows], b[rows]), adjusted_rand_score(a[rows], b[rows])))
    low, high = np.quantile(plain, [0.025, 0.975], axis=0)
    for name, side in (("kappa", 0), ("ari", 1)):
        assert getattr(found, f"{name}_low") == pytest.approx(low[side], abs=0.05)
        assert getattr(found, f"{name}_high") == pytest.approx(high[side], abs=0.05)


def test_chance_is_that_of_permuted_classes(rng):
    first, second = codes(rng, 120, 1, 0.9)
    found = class_agreement(first, second, seed=1)
    live = np.flatnonzero((first[:, 0] != DEAD) & (second[:, 0] != DEAD))
    a, b = first[live, 0], second[live, 0]
    plain = np.array(
        [(np.mean(a == c), cohen_kappa_score(a, c)) for c in (rng.permutation(b) for _ in range(400))]
    )
    for name, side in (("same", 0), ("kappa", 1)):
        assert getattr(found, f"{name}_chance") == pytest.approx(plain[:, side].mean(), abs=0.02)
        assert getattr(found, f"{name}_chance_low") == pytest.approx(
            np.quantile(plain[:, side], 0.025), abs=0.04
        )
        assert getattr(found, f"{name}_chance_high") == pytest.approx(
            np.quantile(plain[:, side], 0.975), abs=0.04
        )
    assert abs(found.ari_chance) < 0.02
    assert found.ari > found.ari_chance_high


def test_intervals_hold_what_differs_between_replicates(rng):
    first = np.repeat(rng.integers(0, 3, (3000, 1)), 20, axis=1)
    kept = np.linspace(0.5, 0.9, 20)
    second = np.where(rng.random((3000, 20)) < kept, first, (first + 1) % 3)
    found = class_agreement(first, second, seed=0)
    assert found.same == pytest.approx(0.7, abs=0.01)
    assert found.same_low < 0.54
    assert found.same_high > 0.86


def test_one_class_on_both_sides_leaves_nothing_to_agree_on():
    alike = np.ones((20, 2), dtype=np.int8)
    found = class_agreement(alike, alike, seed=0)
    assert found.same == 1
    assert np.isnan([found.ari, found.kappa, found.kappa_low, found.kappa_chance]).all()
    nothing = class_agreement(alike[:0], alike[:0], seed=0)
    assert nothing.features == 0
    assert np.isnan([nothing.same, nothing.ari, nothing.kappa, nothing.same_low]).all()


def test_full_agreement_is_1_and_the_same_seed_gives_the_same(rng):
    first, second = codes(rng, 80, 3, 0.8)
    same = class_agreement(first, first, seed=0)
    assert same.same == same.ari == same.kappa == same.kappa_high == same.ari_high == 1
    assert 0.85 < same.kappa_low < 1
    few = class_agreement(first[:9], first[:9], seed=0)
    assert few.kappa == 1
    assert few.kappa_low < 0.75
    assert class_agreement(first, second, seed=4) == class_agreement(first, second, seed=4)
    assert class_agreement(first, second, seed=4) != class_agreement(first, second, seed=5)
