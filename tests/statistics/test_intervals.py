import numpy as np
import pytest
from scipy.stats import binomtest, t

from modalens.statistics.intervals import (
    difference_interval,
    hull_interval,
    jackknife_interval,
    percentile_interval,
    share_interval,
)


def test_intervals_leave_nan_out(rng):
    draws = rng.normal(size=(5, 40))
    draws[1, 3:] = np.nan
    draws[2] = np.nan
    low, high = percentile_interval(draws)
    for row in (0, 1, 3, 4):
        kept = draws[row][~np.isnan(draws[row])]
        np.testing.assert_allclose([low[row], high[row]], np.percentile(kept, [2.5, 97.5]), rtol=1e-12)
    assert np.isnan([low[2], high[2]]).all()


def test_the_hull_holds_both_intervals(rng):
    draws = rng.normal(3, 1, 4_000)
    low, high = hull_interval(np.array(2.0), draws)
    assert low == pytest.approx(2 * 2 - np.percentile(draws, 97.5))
    assert high == pytest.approx(np.percentile(draws, 97.5))


def test_two_groups_left_out_correct_the_jackknife_of_a_mean_over_pairs():
    """Half of the variance of this mean of x_i x_j over pairs is of single groups, half of pairs of groups."""

    def of_pairs(x: np.ndarray) -> float:
        return float((x.sum() ** 2 - (x**2).sum()) / (len(x) * (len(x) - 1)))

    def variances(x: np.ndarray) -> tuple[float, float, float]:
        one = np.array([of_pairs(np.delete(x, i)) for i in range(20)])
        two = np.array([of_pairs(np.delete(x, [i, i + 1])) for i in range(0, 20, 2)])
        value, reach = of_pairs(x), t.ppf(0.975, 19)
        plain, corrected = (jackknife_interval(value, one, each)[1] - value for each in (None, two))
        return (plain / reach) ** 2, (corrected / reach) ** 2, value

    generator = np.random.default_rng(0)
    plain, corrected, values = np.transpose(
        [variances(generator.normal(40**-0.5, 1, 20)) for _ in range(1500)]
    )
    assert plain.mean() / values.var() == pytest.approx(1.5, abs=0.2)
    # Never under half of the plain variance, so a little is left of what is counted twice.
    assert 0.95 < corrected.mean() / values.var() < 1.35


def test_the_jackknife_of_a_mean_is_students_interval(rng):
    values = rng.normal(size=12)
    left_out = (values.sum() - values) / 11
    reach = 2.200985 * values.std(ddof=1) / np.sqrt(12)
    assert jackknife_interval(values.mean(), left_out) == pytest.approx(
        (values.mean() - reach, values.mean() + reach)
    )
    assert np.isnan(jackknife_interval(1.0, np.ones(1))).all()


def test_a_share_has_wilsons_interval():
    value, low, high = share_interval(np.repeat([1, 0], [750, 250]))
    assert value == 0.75
    assert (low, high) == pytest.approx((0.7223, 0.7758), abs=4e-4)  # statsmodels, method="wilson"


def test_a_share_of_one_follows_the_rule_of_three():
    for n in (50, 500):
        value, low, high = share_interval(np.ones(n))
        assert (value, high) == (1, 1)
        assert 3 / n < 1 - low < 4 / n
    # Copies of an observation tell nothing new.
    assert share_interval(np.ones(500), np.repeat(np.arange(50), 10)) == share_interval(np.ones(50))
    assert share_interval(np.ones(9), np.zeros(9, dtype=int)) == (1, 0, 1)


@pytest.mark.parametrize(
    ("share", "groups", "size"), [(0.7, 200, 5), (0.9, 100, 5), (0.5, 40, 4), (0.98, 400, 1)]
)
def test_a_share_over_groups_covers_the_truth(share, groups, size, rng):
    covered = []
    for _ in range(400):
        of_group = rng.random(groups) < share
        alike = rng.random((groups, size)) < 0.6
        right = np.where(alike, of_group[:, None], rng.random((groups, size)) < share)
        _, low, high = share_interval(right.ravel(), np.repeat(np.arange(groups), size))
        covered.append(low <= share <= high)
    assert 0.90 <= np.mean(covered) <= 0.99


def test_the_difference_of_two_shares_is_newcombe_s():
    """Newcombe 1998, table II: 56 of 70 less 48 of 80."""
    shares = []
    for right, n in ((56, 70), (48, 80)):
        ends = binomtest(right, n).proportion_ci(method="wilson")
        shares.append((right / n, float(ends.low), float(ends.high)))
    assert difference_interval(*shares) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
