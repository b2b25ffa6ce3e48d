"""Some experiments of ``make calibrate``: intervals hold the truth, and certainty is right as often as it says."""

from collections.abc import Iterable

import pytest
from benchmarks.calibrate_scores import (
    Row,
    class_counts,
    gap_intervals,
    retrieval_intervals,
    score_intervals,
    separability_intervals,
)


def check(rows: Iterable[Row]) -> None:
    rows = list(rows)
    assert rows
    assert not [str(row) for row in rows if not row.met]


@pytest.mark.parametrize(("n", "size", "density"), [(50, 1, 0.1), (200, 4, 0.02), (50, 4, 1.0)])
def test_scores_of_rare_and_of_common_features(n: int, size: int, density: float) -> None:
    check(score_intervals(n, size, density, repeats=1))


@pytest.mark.parametrize("rule", ["twofold", "mu_sigma"])
def test_class_counts(rule: str) -> None:
    check([class_counts(50, 1, 0.1, rule, repeats=30)])


@pytest.mark.parametrize(("size", "gap"), [(1, 0.0), (1, 0.1), (4, 0.4)])
def test_the_gap(size: int, gap: float) -> None:
    check(gap_intervals(50, size, gap, repeats=100))


def test_retrieval() -> None:
    check(retrieval_intervals(60, 3, repeats=80))


def test_separability() -> None:
    check([separability_intervals(200, 1, 0.1, repeats=40)])
