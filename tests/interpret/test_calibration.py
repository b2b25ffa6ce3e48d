"""Intervals and verdicts against populations whose truth is known: the longer form of this is a benchmark."""

import numpy as np
import pytest
from benchmarks.calibrate_interpret import MIXED, NONE_PRIVATE, averages, judge, plant


@pytest.mark.parametrize(
    ("pairs", "grouped", "sparse"), [(200, False, True), (200, True, False), (50, False, False)]
)
def test_intervals_of_averages_over_features_cover(pairs, grouped, sparse):
    rows = list(averages(pairs, grouped, sparse, 40))
    assert len(rows) == 4
    assert 0.9 <= np.mean([row.value for row in rows]) <= 0.995
    assert min(row.value for row in rows) >= 0.84  # of 40 draws at 0.95, under 34 cover once in a thousand


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
def test_few_verdicts_are_wrong(sparse, grouped):
    wrong_private, wrong_split, covered, found = [], [], [], []
    for seed in range(8):
        for kept in (MIXED, NONE_PRIVATE):
            planted = plant(1000, grouped, sparse, kept, 0.12, np.random.default_rng(seed))
            verdict, bound, truth = judge(planted, sparse, seed)
            private, split = verdict == "private", verdict == "split"
            wrong_private.append((private & (truth > 0.3)).sum() / max(private.sum(), 1))
            wrong_split.append((split & (truth == 0)).sum() / max(split.sum(), 1))
            covered.append(np.mean(bound[truth > 0.3] >= truth[truth > 0.3]))
            found.append(np.mean(private[truth == 0]) if (truth == 0).any() else np.nan)
    assert np.mean(wrong_private) < 0.05
    assert np.mean(wrong_split) < 0.05
    assert np.mean(covered) >= 0.93
    assert grouped or np.nanmean(found) > 0.6


def test_planted_correlations_are_as_told():
    for sparse in (True, False):
        planted = plant(200_000, False, sparse, np.array([0.4, 0.9, 0.0]), 0.1, np.random.default_rng(0))
        found = [np.corrcoef(planted.image[:, i], planted.text[:, 3 + i])[0, 1] for i in range(3)]
        assert found == pytest.approx(planted.correlation, abs=0.03)
