import json
import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from modalens.dominance import ModalityGap, modality_gap
from modalens.dominance.separability import MAX_PAIRS
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets
from modalens.statistics.intervals import jackknife_interval
from tests.dominance.naive import naive_gap

DISTANCES = ("l2m_unbiased", "l2m", "l2i", "rmg")


def cones(
    rng: np.random.Generator, n: int = 60, d: int = 8, offset: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that share a concept, the sides apart by an offset; rows of many lengths."""
    concept = rng.normal(size=(n, d))
    sides = [concept + 0.5 * rng.normal(size=(n, d)) + sign * offset for sign in (1, -1)]
    return sides[0] * rng.uniform(0.1, 9, (n, 1)), sides[1] * rng.uniform(0.1, 9, (n, 1))


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_distances_equal_the_sums_over_all_pairs_of_samples(offset, rng):
    image, text = cones(rng, offset=offset)
    gap = modality_gap(image, text, resamples=0, block_rows=7)
    for name, value in naive_gap(image, text).items():
        assert getattr(gap, name) == pytest.approx(value, rel=1e-12)
    assert (gap.n_pairs, gap.d) == (60, 8)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_unbiased_gap_is_the_mean_product_of_two_groups(grouped, rng):
    image, text = cones(rng, offset=0.1)
    groups = np.repeat(np.arange(20), 3) if grouped else np.arange(60)
    gap = modality_gap(image, text, resamples=0, groups=groups if grouped else None)
    differences = np.array(
        [a / np.linalg.norm(a) - b / np.linalg.norm(b) for a, b in zip(image, text, strict=True)]
    )
    apart = groups[:, None] != groups[None, :]
    square = (differences @ differences.T)[apart].mean()
    assert gap.l2m_unbiased == pytest.approx(np.sqrt(max(square, 0)), rel=1e-9)
    within = np.mean([unit_distances(side)[apart].mean() for side in (image, text)])
    paired = (differences**2).sum(axis=1).mean() / 4
    assert gap.rmg == pytest.approx(paired / (paired + within), rel=1e-9)
    assert (gap.groups, gap.effective_groups) == (len(set(groups)), len(set(groups)))


def test_intervals_are_the_jackknifes(rng):
    image, text = cones(rng, n=40)
    groups = np.repeat(np.arange(10), 4)
    gap = modality_gap(image, text, groups=groups)
    left_out = [
        modality_gap(
            image[groups != group], text[groups != group], resamples=0, groups=groups[groups != group]
        )
        for group in range(10)
    ]
    for name in ("l2i", "rmg"):
        expected = jackknife_interval(
            getattr(gap, name), np.array([getattr(each, name) for each in left_out])
        )
        np.testing.assert_allclose(gap.intervals[name], expected, rtol=1e-9)
    square = jackknife_interval(gap.l2m_unbiased**2, np.array([each.l2m_unbiased**2 for each in left_out]))
    np.testing.assert_allclose(gap.intervals["l2m_unbiased"], np.sqrt(square), rtol=1e-9)


def test_the_null_is_that_of_swapped_pairs(rng):
    image, text = cones(rng, n=30)
    gap = modality_gap(image, text, resamples=50, seed=2)
    swaps = []
    for sign in Buckets.of(30).signs(50, 2).T:
        swap = (sign < 0)[:, None]
        swapped = modality_gap(np.where(swap, text, image), np.where(swap, image, text), resamples=0)
        swaps.append([getattr(swapped, name) for name in DISTANCES])
    for column, name in enumerate(DISTANCES):
        values = np.array(swaps)[:, column]
        expected = (values.mean(), *np.percentile(values, [2.5, 97.5]))
        np.testing.assert_allclose(gap.null[name], expected, rtol=1e-9)


@pytest.mark.parametrize("grouped", [False, True])
def test_more_groups_than_buckets_give_the_same_gap(grouped, rng, monkeypatch):
    image, text = cones(rng, n=600)
    groups = np.repeat(np.arange(300), 2) if grouped else None
    whole = modality_gap(image, text, groups=groups)
    monkeypatch.setattr("modalens.statistics.buckets.MOST_BUCKETS", 128)
    hashed = modality_gap(image, text, groups=groups)
    for name in DISTANCES:
        exact = 1e-12 if name in ("l2m", "l2i") or not grouped else 0.01
        assert getattr(hashed, name) == pytest.approx(getattr(whole, name), rel=exact)
        widths = [high - low for low, high in (whole.intervals[name], hashed.intervals[name])]
        assert widths[1] == pytest.approx(widths[0], rel=0.25)
        assert hashed.null[name][0] == pytest.approx(whole.null[name][0], rel=0.15, abs=0.03)


def unit_distances(rows: np.ndarray) -> np.ndarray:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (1 - unit @ unit.T) / 2


@pytest.mark.parametrize(
    "kind",
    [
        sp.csr_array,
        torch.tensor,
        lambda x: torch.tensor(x, dtype=torch.bfloat16),
        lambda x: x.astype(np.float16),
    ],
)
def test_every_kind_of_matrix_gives_the_same_gap(kind, rng):
    image, text = (
        rng.integers(0, 9, (2, 80, 12)) * (rng.random((2, 80, 12)) < 0.5) + np.eye(12)[np.arange(80) % 12]
    )
    dense = modality_gap(image, text, resamples=20)
    for other in (
        modality_gap(kind(image), kind(text), resamples=20),
        modality_gap(image, kind(text), resamples=20),
    ):
        for name in DISTANCES:
            assert getattr(other, name) == pytest.approx(getattr(dense, name), abs=1e-12)
            np.testing.assert_allclose(other.intervals[name], dense.intervals[name], rtol=0, atol=1e-12)
            np.testing.assert_allclose(other.null[name], dense.null[name], rtol=0, atol=1e-12)
        assert other.separability == pytest.approx(dense.separability, abs=0.03)


def test_blocks_do_not_matter(rng):
    image, text = cones(rng, n=200)
    groups = rng.integers(0, 150, 200)
    whole = modality_gap(image, text, resamples=20, groups=groups)
    cut = modality_gap(image, text, resamples=20, groups=groups, block_rows=13)
    for name in (*DISTANCES, "separability"):
        assert getattr(cut, name) == pytest.approx(getattr(whole, name), abs=1e-12)
        np.testing.assert_allclose(cut.intervals[name], whole.intervals[name], rtol=0, atol=1e-12)
        np.testing.assert_allclose(cut.null[name], whole.null[name], rtol=0, atol=1e-12)


def test_lengths_of_embeddings_do_not_matter(rng):
    image, text = cones(rng)
    plain = modality_gap(image, text, resamples=0)
    scaled = modality_gap(image * rng.uniform(1e-200, 1e200, (60, 1)), text * 1e-250, resamples=0)
    for name in DISTANCES:
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-12)


def test_a_wide_gap_stands_clear_of_its_null(rng):
    gap = modality_gap(*cones(rng, n=400, offset=1.5))
    assert gap.separability > 0.97
    assert gap.null["separability"][0] == pytest.approx(0.5, abs=0.08)
    assert gap.intervals["l2m"][0] < gap.l2m < gap.intervals["l2m"][1]
    assert gap.null["l2m"][2] < gap.intervals["l2m"][0]
    assert gap.null["l2i"] == pytest.approx((gap.l2i,) * 3)
    low, high = gap.intervals["separability"]
    assert low <= gap.separability <= high


def test_no_gap_lies_within_its_null(rng):
    gap = modality_gap(*cones(rng, n=400, offset=0.0))
    assert gap.null["l2m"][1] < gap.l2m < gap.null["l2m"][2]
    assert gap.separability == pytest.approx(0.5, abs=0.08)


def test_groups_widen_the_interval_of_repeated_pairs(rng):
    image, text = (np.repeat(side, 5, axis=0) for side in cones(rng, n=80))
    groups = np.repeat(np.arange(80), 5)
    apart, together = modality_gap(image, text), modality_gap(image, text, groups=groups)
    for name in ("l2m", "l2i"):
        widths = [high - low for low, high in (apart.intervals[name], together.intervals[name])]
        assert widths[1] > 1.8 * widths[0]


def their_separability(image: np.ndarray, text: np.ndarray, seed: int) -> list[float]:
    """Held-out accuracies by scikit-learn: of the modalities, and of labels swapped within pairs."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    n = len(image)
    rows = np.sort(rng.choice(n, min(MAX_PAIRS, n), replace=False))
    held_out = np.isin(np.arange(n)[rows], rng.permutation(rows)[: len(rows) // 2])
    samples = np.concatenate(
        [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (image[rows], text[rows])]
    )
    twice = np.tile(held_out, 2)
    samples = StandardScaler().fit(samples[~twice]).transform(samples)
    swaps = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    accuracies = []
    for draw in range(6):
        swap = np.ones(len(rows)) if draw == 0 else swaps.choice([-1.0, 1.0], len(rows))
        labels = np.concatenate([swap, -swap])
        model = LogisticRegression(max_iter=5_000, tol=1e-8).fit(samples[~twice], labels[~twice])
        accuracies.append((model.predict(samples[twice]) == labels[twice]).mean())
    return accuracies


@pytest.mark.parametrize("offset", [0.02, 0.15, 1.5])
def test_separability_is_that_of_scikit_learns_regression(offset, rng):
    image, text = cones(rng, n=6_000, d=30, offset=offset)
    gap = modality_gap(image.astype(np.float32), text.astype(np.float32), resamples=20, seed=3)
    own, *null = their_separability(image, text, 3)
    assert gap.separability == pytest.approx(own, abs=0.002)
    expected = (np.mean(null), min(null), max(null))
    np.testing.assert_allclose(gap.null["separability"], expected, rtol=0, atol=0.002)


def test_groups_are_not_torn_apart_by_the_split():
    # Random points carry no modality: only a copy of a held-out pair in the training half tells it.
    rng = np.random.default_rng(0)
    image, text = (np.repeat(side, 4, axis=0) for side in rng.normal(size=(2, 30, 200)))
    groups = np.repeat(np.arange(30), 4)
    assert modality_gap(image, text, resamples=0).separability > 0.9
    assert modality_gap(image, text, resamples=0, groups=groups).separability < 0.7


def test_embeddings_that_are_all_one_have_no_relative_gap():
    gap = modality_gap(np.ones((6, 3)), np.ones((6, 3)), resamples=4)
    assert (gap.l2m, gap.l2i) == (0, 0)
    assert math.isnan(gap.rmg)


def test_a_gap_comes_back_bit_for_bit(rng, tmp_path):
    for resamples in (0, 9):
        gap = modality_gap(
            *cones(rng), resamples=resamples, modalities=("audio", "text"), source={"model": "toy"}
        )
        gap.save(tmp_path / "gap.json")
        back = ModalityGap.load(tmp_path / "gap.json")
        np.testing.assert_equal(back.to_dict(), gap.to_dict())
        assert json.loads((tmp_path / "gap.json").read_text())["schema_version"] == 2
    assert back == gap


def test_files_that_hold_no_gap_are_refused(rng, tmp_path):
    gap = modality_gap(*cones(rng), resamples=0)
    with pytest.raises(ModalensError, match=r"kept in a \.json file"):
        gap.save(tmp_path / "gap.parquet")
    path = tmp_path / "gap.json"
    with pytest.raises(ModalensError, match="There is no file"):
        ModalityGap.load(path)
    gap.save(path)
    document = json.loads(path.read_text())
    for broken, sentence in (
        ({**document, "schema_version": 99}, "schema version 99 and this modalens reads up to 2"),
        ({**document, "kind": "modalens.Dominance"}, r"does not hold what modalens\.ModalityGap saves"),
        ({name: value for name, value in document.items() if name != "rmg"}, "is damaged"),
        ({**document, "intervals": 3}, "is damaged"),
        ({**document, "rmg": "0.5"}, "is damaged"),
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(ModalensError, match=sentence):
            ModalityGap.load(path)


@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
def test_a_row_of_zeros_is_named(kind, rng):
    image, text = cones(rng)
    text[41] = 0
    with pytest.raises(ModalensError, match="Row 41 of the text matrix is all zeros"):
        modality_gap(kind(image), kind(text), block_rows=20)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"groups": [0, 1]}, "groups has 2 labels for 60 pairs"),
        ({"groups": [0] * 60}, "All pairs are in one group"),
        ({"resamples": -2}, "resamples must be a whole number"),
        ({"modalities": ("a", "a")}, "two different names"),
    ],
)
def test_wrong_options_are_refused(options, sentence, rng):
    with pytest.raises(ModalensError, match=sentence):
        modality_gap(*cones(rng), **options)


def test_wrong_matrices_are_refused(rng):
    with pytest.raises(ModalensError, match="at least 4 pairs, and there are 3"):
        modality_gap(np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(ModalensError, match="3 rows and the text matrix 4"):
        modality_gap(np.ones((3, 2)), np.ones((4, 2)))
    with pytest.raises(ModalensError, match="NaN or infinite value in row 0"):
        modality_gap(np.full((5, 2), np.inf), np.ones((5, 2)))


def test_real_clip_features_give_the_known_gap(clip_features):
    gap = modality_gap(*clip_features)
    assert round(gap.l2m, 4) == 0.8514
    for name, value in naive_gap(*clip_features.astype(np.float64)).items():
        assert getattr(gap, name) == pytest.approx(value, rel=1e-10)
    assert gap.separability == 1
    assert gap.null["l2m"][2] < 0.1
