import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from modalens.dominance import ESTIMATORS, DominanceSums, modality_dominance
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets
from tests.dominance.naive import naive_scores


def sparse_pair(rng: np.random.Generator, n: int = 60, d: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative codes, exact in half precision, with 0/0 pairs and features 3 and 7 dead."""
    sides = [rng.integers(1, 32, (n, d)) / 8 * (rng.random((n, d)) < 0.3) for _ in range(2)]
    for side in sides:
        side[:, [3, 7]] = 0
    return sides[0], sides[1]


class LazyColumn:
    def __init__(self, values: np.ndarray) -> None:
        self.shape = values.shape
        self._values = values

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._values[rows].copy()


def same(one, other, tolerance=0.0):
    """All numbers of two results agree."""
    for name in ("score", "low", "high", "pairs", "probability"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.null.scores, other.null.scores, rtol=0, atol=tolerance)
    np.testing.assert_allclose(one.null.stds, other.null.stds, rtol=0, atol=tolerance)
    for rule in ("mu_sigma", "twofold"):
        assert one.count_intervals(rule) == other.count_intervals(rule)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scores_equal_a_double_loop(estimator, rng):
    image, text = sparse_pair(rng)
    if estimator != "signed_ratio":
        image, text = image * rng.choice([-1, 1], image.shape), text * rng.choice([-1, 1], text.shape)
    expected, pairs = naive_scores(image, text, estimator)
    assert pairs[[3, 7]].sum() == 0
    assert 0 < pairs[0] < len(image), "the data must hold 0/0 pairs"
    result = modality_dominance(image, text, estimator, resamples=0, block_rows=7)
    np.testing.assert_allclose(result.score, expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(result.pairs, pairs)
    assert np.isnan(result.score[[3, 7]]).all()
    assert result.mean == pytest.approx(np.nanmean(expected))
    assert result.std == pytest.approx(np.nanstd(expected))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        sp.csr_array,
        sp.csr_matrix,
        sp.csc_array,
        torch.tensor,
        lambda x: torch.tensor(x, dtype=torch.bfloat16),
        lambda x: x.astype(np.float16),
        LazyColumn,
    ],
)
def test_every_kind_of_matrix_scores_the_same(kind, normalize, estimator, rng):
    image, text = sparse_pair(rng)
    options = {"estimator": estimator, "normalize": normalize, "resamples": 20}
    dense = modality_dominance(image, text, **options)
    same(dense, modality_dominance(kind(image), kind(text), **options), 1e-12)
    same(dense, modality_dominance(image, kind(text), **options), 1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("grouped", [False, True])
def test_blocks_do_not_matter(estimator, grouped, rng):
    image, text = sparse_pair(rng, n=300)
    options = {
        "estimator": estimator,
        "resamples": 20,
        "groups": rng.integers(0, 200, 300) if grouped else None,
    }
    whole = modality_dominance(image, text, **options)
    for rows in (1, 17, 64, 299, 5_000):
        same(whole, modality_dominance(image, text, block_rows=rows, **options), 1e-12)


def test_row_order_does_not_matter(rng):
    image, text = sparse_pair(rng)
    order = rng.permutation(len(image))
    for estimator in ESTIMATORS:
        one = modality_dominance(image, text, estimator, resamples=0)
        other = modality_dominance(image[order], text[order], estimator, resamples=0)
        np.testing.assert_allclose(one.score, other.score, rtol=0, atol=1e-12)


def test_normalising_divides_every_row_by_its_norm(rng):
    image, text = rng.normal(size=(2, 30, 6)) * rng.uniform(0.1, 10, (2, 30, 1))
    image[4] = 0
    unit = [side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-300) for side in (image, text)]
    for estimator in ("mean_ratio", "energy_ratio"):
        expected, _ = naive_scores(*unit, estimator)
        result = modality_dominance(image, text, estimator, normalize=True, resamples=0)
        np.testing.assert_allclose(result.score, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
def test_shards_merge_into_the_whole(estimator, kind, rng):
    image, text = sparse_pair(rng, n=90)
    # The shards differ in scale, so that the merge has to bring squares to one scale.
    image[30:60] *= 1e300
    text[30:60] *= 1e300
    image[60:] *= 1e-300
    text[60:] *= 1e-300

    def sums(start: int, stop: int) -> DominanceSums:
        part = DominanceSums(12, estimator, buckets=Buckets.of(90))
        part.update(start, kind(image[start:stop]), kind(text[start:stop]))
        return part

    whole = sums(0, 90)
    for order in ([(0, 30), (30, 60), (60, 90)], [(30, 60), (60, 90), (0, 30)]):
        parts = [sums(*span) for span in order]
        for part in parts[1:]:
            parts[0].merge(part)
        for scores, off in (
            (lambda sums: sums.scores(), 1e-12),
            (lambda sums: sums.resampled_scores(10, 1), 2e-7),  # in single precision
            (lambda sums: sums.swapped_scores(10, 1), 2e-7),
        ):
            np.testing.assert_allclose(scores(parts[0]), scores(whole), rtol=0, atol=off)
        np.testing.assert_array_equal(parts[0].pairs, whole.pairs)
        assert parts[0].n_pairs == 90


def test_sums_made_differently_do_not_merge():
    with pytest.raises(ModalensError, match="cannot be merged"):
        DominanceSums(4, "mean_ratio").merge(DominanceSums(4, "energy_ratio"))


# The whole range of float64, denormals and the largest values among them.
magnitudes = st.one_of(st.just(0.0), st.floats(allow_nan=False, allow_infinity=False))
pairs_of_matrices = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=6).map(lambda shape: (2, *shape)),
    elements=magnitudes,
)
estimators = st.sampled_from(list(ESTIMATORS))


def scored(both: np.ndarray, estimator: str, sparse: bool = False) -> np.ndarray:
    kind = sp.csr_array if sparse else np.array
    both = np.abs(both) if estimator == "signed_ratio" else both
    return modality_dominance(kind(both[0]), kind(both[1]), estimator, resamples=0, block_rows=2).score


@settings(max_examples=100)
@given(both=pairs_of_matrices, estimator=estimators, sparse=st.booleans())
def test_scores_lie_between_0_and_1_and_only_dead_features_have_none(both, estimator, sparse):
    score = scored(both, estimator, sparse)
    dead = (both == 0).all(axis=(0, 1))
    np.testing.assert_array_equal(np.isnan(score), dead)
    assert ((score[~dead] >= 0) & (score[~dead] <= 1)).all()


@settings(max_examples=100)
@given(both=pairs_of_matrices, estimator=estimators)
def test_swapping_the_sides_gives_one_minus_the_score(both, estimator):
    np.testing.assert_allclose(scored(both[::-1], estimator), 1 - scored(both, estimator), rtol=0, atol=1e-12)


@settings(max_examples=100)
@given(
    both=pairs_of_matrices,
    estimator=estimators,
    exponent=st.integers(-1000, 1000),
    digits=st.floats(1.0, 2.0),
)
def test_scaling_both_sides_by_one_number_changes_nothing(both, estimator, exponent, digits):
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(both, exponent) * digits
    # Scaling itself must not lose bits: neither overflow nor leave the normal range.
    sizes = np.abs(np.concatenate([both[both != 0], scaled[both != 0]]))
    assume(((sizes > 1e-300) & (sizes < np.inf)).all())
    np.testing.assert_allclose(scored(scaled, estimator), scored(both, estimator), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1.0, 1e200, 8e307])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
def test_extreme_values_neither_overflow_nor_vanish(kind, estimator, scale):
    image, text = np.array([[2.0, 1.0, 0.0]]) * scale, np.array([[2.0, 0.0, 1.0]]) * scale
    result = modality_dominance(kind(image), kind(text), estimator, resamples=3)
    np.testing.assert_array_equal(result.score, [0.5, 1.0, 0.0])


def test_memory_does_not_grow_with_the_number_of_pairs():
    class Endless:
        """A column made up as it is read."""

        def __init__(self, n: int) -> None:
            self.shape = (n, 64)

        def __getitem__(self, rows: slice) -> np.ndarray:
            return np.random.default_rng(rows.start).normal(size=(rows.stop - rows.start, 64))

    def peak(n: int) -> int:
        tracemalloc.start()
        modality_dominance(Endless(n), Endless(n), resamples=20, block_rows=512)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2_048)  # imports and caches
    short, long = peak(8_192), peak(32_768)
    block = 512 * 64 * 8
    assert long < 1.05 * short + block  # one more may have been read ahead


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"estimator": "median"},
            "no estimator 'median'; choose one of mean_ratio, energy_ratio, signed_ratio",
        ),
        ({"rule": "half"}, "no class rule 'half'; choose one of mu_sigma, twofold"),
        ({"groups": [1, 2]}, "groups has 2 labels for 3 pairs"),
        (
            {"groups": np.ones((3, 1))},
            r"groups must be one label for each pair, not an array of shape \(3, 1\)",
        ),
        ({"groups": ["a", None, "b"]}, "row 1 has no group label"),
        ({"resamples": -1}, "resamples must be a whole number of at least 0, not -1"),
        ({"resamples": 1.5}, "resamples must be a whole number"),
        ({"seed": -3}, "seed must be a whole number of at least 0, not -3"),
        ({"modalities": ("image", "image")}, "two different names"),
        ({"modalities": ("image",)}, "two different names"),
        ({"modalities": ("cross", "text")}, "cannot be called 'cross' or 'dead'"),
        ({"block_rows": 0}, "at least 1 row"),
    ],
)
def test_wrong_options_are_refused(options, sentence):
    with pytest.raises(ModalensError, match=sentence):
        modality_dominance(np.ones((3, 2)), np.ones((3, 2)), **options)


def test_wrong_matrices_are_refused_by_the_names_of_their_modalities():
    names = {"modalities": ("audio", "caption")}
    with pytest.raises(ModalensError, match="The audio matrix has 3 rows and the caption matrix 4"):
        modality_dominance(np.ones((3, 2)), np.ones((4, 2)), **names)
    with pytest.raises(ModalensError, match="The audio matrix is empty"):
        modality_dominance(np.ones((0, 2)), np.ones((0, 2)), **names)
    with pytest.raises(ModalensError, match="The caption matrix is empty"):
        modality_dominance(np.ones((3, 2)), np.ones((3, 0)), **names)
    with pytest.raises(ModalensError, match="The caption matrix has a NaN or infinite value in row 2"):
        modality_dominance(np.ones((3, 2)), np.array([[1, 1], [1, 1], [1, np.nan]]), **names)


@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
def test_signed_ratio_refuses_features_that_change_sign(kind):
    image, text = np.ones((5, 3)), np.ones((5, 3))
    text[3, 1], text[4, 0] = -0.5, -1.0
    sentence = "feature 1 of the text matrix is negative in row 3; use mean_ratio or energy_ratio"
    with pytest.raises(ModalensError, match=sentence):
        modality_dominance(kind(image), kind(text), "signed_ratio", block_rows=2)
    modality_dominance(kind(image), kind(-0.0 * text), "signed_ratio", resamples=0)


def test_real_clip_features_give_the_known_numbers(clip_features):
    result = modality_dominance(*clip_features, rule="mu_sigma")
    assert round(result.mean, 4) == 0.4761
    assert round(result.std, 4) == 0.0663
    assert round(float(result.score.min()), 4) == 0.1446
    assert round(float(result.score.max()), 4) == 0.8311
    assert result.counts() == {"text": 35, "cross": 426, "image": 51, "dead": 0}
    assert result.null.stds.max() < result.std / 4, "the spread is not what chance gives"
