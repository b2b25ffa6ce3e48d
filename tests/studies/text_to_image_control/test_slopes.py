import itertools

import numpy as np
import pytest

from modalens.studies.text_to_image_control.slopes import against_random_sets, mean_of, slope_of


def test_slopes_are_least_squares(rng):
    strengths = np.linspace(0, 0.9, 10)
    values = rng.standard_normal((3, 10, 2, 4))
    found = slope_of(values, strengths)
    for a, n, r in itertools.product(range(3), range(2), range(4)):
        assert found[a, n, r] == pytest.approx(np.polyfit(strengths, values[a, :, n, r], 1)[0])


def test_intervals_hold_the_truth(rng):
    """References and seeds each bring noise of their own; the interval errs to the wide side."""
    held = 0
    for _ in range(200):
        values = rng.standard_normal((6, 1)) + 0.5 * rng.standard_normal((1, 3)) + rng.standard_normal((6, 3))
        mean = mean_of(values, 0)
        held += mean.low <= 0 <= mean.high
    assert held >= 186


def test_one_more_random_set_is_seldom_told_from_random_sets(rng):
    low = 0
    for _ in range(200):
        slopes = (
            rng.standard_normal((9, 1, 1)) + rng.standard_normal((1, 6, 1)) + rng.standard_normal((9, 6, 2))
        )
        low += against_random_sets(slopes[0], slopes[1:], 0).p < 0.05
    assert low <= 18
    different = against_random_sets(slopes[0] + 20, slopes[1:], 0)
    assert different.p < 0.01
    assert different.low > 0


def test_where_nothing_moves_nothing_is_told():
    still = np.zeros((3, 4, 2))
    found = against_random_sets(still[0], still, 0)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
