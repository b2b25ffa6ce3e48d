"""The compiled passes against the plain ones, in every kind of number, and on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from modalens.dominance import ESTIMATORS, DominanceSums, device_kernels, modality_dominance, modality_gap
from modalens.dominance.draw_kernels import column_moments, tally_classes
from modalens.dominance.gap_sums import GapSums
from modalens.dominance.kernels import suits
from modalens.dominance.parts import Part, Plan, sum_part
from modalens.dominance.rules import class_codes
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets
from tests.dominance.naive import naive_gap, naive_scores

KINDS = {
    "float64": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "torch half": lambda x: torch.tensor(x, dtype=torch.float16),
    "bfloat16": lambda x: torch.tensor(x, dtype=torch.bfloat16),
    "big-endian": lambda x: x.astype(">f4"),
    "columns first": lambda x: np.asfortranarray(x.astype(np.float32)),
    "csr": lambda x: sp.csr_array(x.astype(np.float32)),
}


@pytest.fixture
def pairs(rng):
    """Numbers that half precision and bfloat16 hold exactly, with zeros on one side, on both, all over a feature."""
    sides = rng.integers(-60, 61, (2, 3_000, 9)) / 8.0
    sides[rng.random(sides.shape) < 0.2] = 0
    sides[:, rng.random((3_000, 9)) < 0.1] = 0
    sides[:, :, 4] = 0
    sides[:, :, 8] += 0.125 * (sides[:, :, 8] == 0)  # no row is all zeros
    return sides[0], sides[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", ["mean_ratio", "energy_ratio"])
def test_every_kind_of_number_gives_the_scores_of_a_double_loop(kind, estimator, pairs):
    expected, counted = naive_scores(*pairs, estimator)
    result = modality_dominance(*(KINDS[kind](side) for side in pairs), estimator, resamples=5)
    np.testing.assert_allclose(result.score, expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(result.pairs, counted)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_number_gives_the_gap_of_every_two_samples(kind, pairs):
    pairs = tuple(side[:60] for side in pairs)
    found = modality_gap(*(KINDS[kind](side) for side in pairs), resamples=5)
    for name, value in naive_gap(*pairs).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_compiled_pass_adds_what_the_plain_one_adds(estimator, hashed, pairs, monkeypatch):
    image, text = (abs(side).astype(np.float32) for side in pairs)
    buckets = Buckets(3_000, 3_000.0, 40 if hashed else 3_000)
    compiled = DominanceSums(9, estimator, buckets=buckets)
    compiled.update(0, image, text)
    monkeypatch.setattr("modalens.dominance.sums.suits", lambda *_: False)
    plain = DominanceSums(9, estimator, buckets=buckets)
    plain.update(0, image, text)
    np.testing.assert_allclose(compiled.scores(), plain.scores(), rtol=0, atol=1e-14)
    for draws in ("resampled_scores", "swapped_scores"):
        np.testing.assert_allclose(
            getattr(compiled, draws)(9, 1), getattr(plain, draws)(9, 1), rtol=0, atol=2e-7
        )


@pytest.mark.parametrize("kind", ["float32", "float16", "csr"])
def test_sums_are_the_same_bits_on_any_number_of_threads_and_in_blocks_of_any_size(kind, pairs, monkeypatch):
    sides = [KINDS[kind](side) for side in pairs]
    results = []
    for threads, rows in (("1", None), ("2", 7), ("3", 1_000)):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        scores = [
            modality_dominance(*sides, name, resamples=9, block_rows=rows)
            for name in ("mean_ratio", "energy_ratio")
        ]
        gap = modality_gap(*sides, resamples=9, block_rows=rows).to_dict()
        unsampled = modality_dominance(*sides, resamples=0, block_rows=rows).score
        results.append(
            [
                *(array for each in scores for array in (each.score, each.low, each.high, each.null.stds)),
                unsampled,
                gap,
            ]
        )
    for other in results[1:]:
        for mine, theirs in zip(results[0][:-1], other[:-1], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert {**other[-1], "source": 0} == {**results[0][-1], "source": 0}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("measure", [modality_dominance, modality_gap])
def test_a_value_that_is_not_finite_is_named(measure, side, bad, dtype, rng):
    sides = [rng.normal(size=(2_500, 5)).astype(dtype) for _ in range(2)]
    sides[side][2_111, 3] = bad
    with pytest.raises(
        ModalensError, match=f"The {('image', 'text')[side]} matrix has a NaN or infinite value in row 2111"
    ):
        measure(*sides)


def test_a_row_without_direction_is_named_wherever_it_stands(rng):
    sides = [rng.normal(size=(2_500, 5)).astype(np.float32) for _ in range(2)]
    sides[1][2_200], sides[0][2_300] = 0, 0
    with pytest.raises(ModalensError, match="Row 2200 of the text matrix is all zeros"):
        modality_gap(*sides)


def test_only_numbers_of_ordinary_size_are_taken_as_they_are(rng):
    ordinary = rng.normal(size=(4, 3))
    for extreme in (1e-60, 1e60, np.nan, np.inf):
        other = ordinary.copy()
        other[1, 1] = extreme
        assert not suits(ordinary, other)
    assert suits(ordinary, np.zeros((4, 3)))
    assert not suits(ordinary, ordinary.astype(np.float32))
    assert not suits(ordinary, sp.csr_array(ordinary))


def test_directions_of_large_and_small_rows_are_those_of_ordinary_ones(rng):
    sides = rng.normal(size=(2, 50, 6))
    factors = 10.0 ** rng.integers(-300, 300, (2, 50, 1))
    sums = [GapSums(6, Buckets.of(50)) for _ in range(2)]
    sums[0].update(0, *sides)
    sums[1].update(0, *(sides * factors))
    for name, value in sums[0].conclude().measures.items():
        assert sums[1].conclude().measures[name] == pytest.approx(value, abs=1e-12)


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("estimator", ["mean_ratio", "energy_ratio"])
def test_a_device_sums_what_compiled_code_sums(estimator, kind, device, pairs, monkeypatch):
    monkeypatch.setattr(device_kernels, "_ROWS", 700)
    sides = [KINDS[kind](side) for side in pairs]
    plan = Plan(3_000, 9, Buckets(3_000, 3_000.0, 40), (estimator,), gap=True, resamples=5)
    theirs, ours = (sum_part(*sides, plan, Part(0, 3_000), where) for where in (None, device))
    for one, other in ((theirs.of(estimator), ours.of(estimator)), (theirs.gap, ours.gap)):
        for name, sums in vars(one).items():
            if isinstance(sums, np.ndarray):
                np.testing.assert_allclose(getattr(other, name), sums, rtol=1e-12, atol=1e-12)
    rules = [class_codes(each.of(estimator).scores(), "twofold") for each in (theirs, ours)]
    np.testing.assert_array_equal(*rules)


@pytest.mark.parametrize("device", DEVICES)
def test_bad_rows_are_named_on_a_device_too(device, rng):
    sides = rng.normal(size=(2, 300, 5)).astype(np.float32)
    plan = Plan(300, 5, Buckets.of(300), ("mean_ratio",), gap=True)
    sides[1, 211], sides[0, 220] = 0, 0
    with pytest.raises(ModalensError, match="Row 211 of the text matrix is all zeros"):
        sum_part(*sides, plan, Part(0, 300), device)
    sides[0, 120, 3] = np.inf
    plan = replace(plan, gap=False)
    with pytest.raises(ModalensError, match="image matrix has a NaN or infinite value in row 120"):
        sum_part(*sides, plan, Part(0, 300), device)


def test_moments_and_tallies_of_draws_are_those_of_numpy(rng, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    scores = rng.random((31, 17))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    scores[5], scores[:, 3] = np.nan, np.nan
    with np.errstate(invalid="ignore"):
        mean, std = column_moments(scores)
    live = np.delete(np.arange(17), 3)
    np.testing.assert_allclose(mean[live], np.nanmean(scores[:, live], axis=0), rtol=0, atol=1e-14)
    np.testing.assert_allclose(std[live], np.nanstd(scores[:, live], axis=0), rtol=0, atol=1e-14)
    assert np.isnan([mean[3], std[3]]).all()

    lower, upper = rng.random((2, 17)) / 2 + [[0], [0.5]]
    under, over = scores < lower, scores > upper
    within = (scores >= lower) & (scores <= upper)
    by_row, by_column = tally_classes(scores, lower, upper)
    np.testing.assert_array_equal(
        by_row, np.stack([each.sum(axis=1) for each in (under, within, over)], axis=1)
    )
    np.testing.assert_array_equal(by_column, [each.sum(axis=0) for each in (under, within, over)])
