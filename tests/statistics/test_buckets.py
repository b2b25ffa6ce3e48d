import numpy as np
import pytest
import scipy.sparse as sp

from modalens.statistics.buckets import Buckets, add_by_cell, effective_number, resampled_means


def test_few_groups_have_a_bucket_each():
    buckets = Buckets.of(900)
    assert (buckets.n, buckets.n_cells, buckets.hashed) == (900, 900, False)
    np.testing.assert_array_equal(buckets.cells(np.array([7, 0, 899])), [7, 0, 899])
    assert (buckets.sizes() == 1).all()


def test_many_groups_fall_into_buckets_evenly_and_always_alike():
    buckets = Buckets.of(300_000)
    assert (buckets.n, buckets.n_cells) == (1024, 2048)
    cells = buckets.cells(np.arange(300_000))
    np.testing.assert_array_equal(buckets.cells(np.array([250_000, 3])), cells[[250_000, 3]])
    np.testing.assert_array_equal(buckets.sizes(), np.bincount(cells // 2, minlength=1024))
    assert buckets.run == 9
    runs = (cells // 2)[: 9 * 33_333].reshape(-1, 9)
    assert (runs == runs[:, :1]).all()
    _assert_uniform(np.bincount(runs[:, 0], minlength=1024))
    _assert_uniform(np.bincount(np.arange(300_000) % 9 * 2 + cells % 2))


def _assert_uniform(counts):
    chi_square = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert abs(chi_square - len(counts) + 1) < 5 * np.sqrt(2 * len(counts))


def test_wide_codes_get_fewer_buckets():
    assert Buckets.of(10**6, n_features=1024).n == 1024
    assert Buckets.of(10**6, n_features=65_536).n == 128


def test_a_resample_takes_as_many_buckets_as_there_are():
    buckets = Buckets.of(50)
    weights, signs = buckets.weights(4_000, 3), buckets.signs(4_000, 3)
    np.testing.assert_array_equal(weights.sum(axis=0), 50)
    np.testing.assert_allclose(weights.mean(axis=1), 1, atol=0.1)
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.02)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert signs.mean() == pytest.approx(0, abs=0.01)
    np.testing.assert_array_equal(buckets.weights(4_000, 3), weights)
    assert (buckets.weights(4_000, 4) != weights).any()


def test_effective_number_of_groups():
    assert effective_number(np.full(7, 3)) == pytest.approx(7)
    assert effective_number(np.array([100, 1, 1])) == pytest.approx(102**2 / 10_002)
    assert Buckets.of(6, np.array([0, 0, 0, 0, 1, 2])).effective == pytest.approx(36 / 18)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_rows_are_added_to_their_cells(kind, rng):
    rows = rng.normal(size=(40, 6)) * (rng.random((40, 6)) < 0.4)
    cells = rng.integers(0, 9, 40)
    sums = np.ones((9, 6))
    add_by_cell(sums, cells, kind(rows))
    expected = np.ones((9, 6))
    np.add.at(expected, cells, rows)
    np.testing.assert_allclose(sums, expected, rtol=0, atol=1e-12)


def test_resamples_of_buckets_vary_as_those_of_pairs_do(rng):
    # 40,000 pairs in 1,024 buckets: the spread of a resampled mean and of a swapped sum is that over pairs.
    values = rng.normal(5, 2, 40_000)
    buckets = Buckets.of(40_000)
    sums = np.zeros((buckets.n_cells, 2))
    add_by_cell(sums, buckets.cells(np.arange(40_000)), np.stack([values, np.ones(40_000)], axis=1))
    drawn = buckets.totals(sums).T @ buckets.weights(4_000, 0)
    assert (drawn[0] / drawn[1]).std() == pytest.approx(2 / np.sqrt(40_000), rel=0.1)
    swapped = buckets.tilts(sums[:, 0]) @ buckets.signs(4_000, 0)
    assert swapped.std() == pytest.approx(np.sqrt((values**2).sum()), rel=0.1)


def test_means_of_no_samples_are_undefined() -> None:
    means = resampled_means(np.zeros((2, 0)), np.zeros(0, dtype=int), 5, seed=0)
    assert means.shape == (2, 5)
    assert np.isnan(means).all()
