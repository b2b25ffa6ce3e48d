"""Closed forms against loops written down plainly."""

from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import spearmanr

from modalens.interpret import monosemanticity, top_samples
from modalens.studies.metric_relations.modality_share import modality_share
from modalens.studies.metric_relations.published_metrics import clarity, monosemanticity_score, redundancy
from modalens.studies.metric_relations.rank_correlation import correlations, rank_correlation


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_the_monosemanticity_score_is_that_of_a_double_loop(rng: np.random.Generator) -> None:
    codes, embeddings = rng.normal(size=(30, 4)), rng.normal(size=(30, 6))
    codes[:, 1] = np.maximum(codes[:, 1], 0)
    codes[:, 2] = 3.0
    codes[:, 3] = 0
    codes[7, 3] = 2.0
    wanted = []
    for values in codes.T:
        with np.errstate(invalid="ignore"):
            scaled = (values - values.min()) / (values.max() - values.min())
        weighted, weights = 0.0, 0.0
        for i, j in combinations(range(30), 2):
            weighted += scaled[i] * scaled[j] * cosine(embeddings[i], embeddings[j])
            weights += scaled[i] * scaled[j]
        wanted.append(weighted / weights if weights else np.nan)
    assert monosemanticity_score(codes, embeddings) == pytest.approx(wanted, nan_ok=True)
    assert np.isnan(wanted[2:]).all()  # constant, and firing for a single sample
    sparse = np.maximum(codes, 0)
    assert monosemanticity_score(sp.csr_array(sparse), embeddings) == pytest.approx(
        monosemanticity_score(sparse, embeddings), nan_ok=True
    )


def test_clarity_and_redundancy_are_those_of_loops(rng: np.random.Generator) -> None:
    codes = np.maximum(rng.normal(size=(40, 6)), 0)
    codes[3:, 5] = 0
    codes[:3, 5] = (0, 0, 1)
    embeddings = rng.normal(size=(40, 5))
    rows = top_samples(codes, 8).rows
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = [unit[each[each >= 0]].mean(axis=0) for each in rows[:5]]
    wanted = [
        np.mean([cosine(embeddings[i], embeddings[j]) for i, j in permutations(each[each >= 0], 2)])
        for each in rows[:5]
    ]
    assert clarity(embeddings, rows) == pytest.approx([*wanted, np.nan], nan_ok=True)
    nearest = [max(cosine(a, b) for k, b in enumerate(means) if k != j) for j, a in enumerate(means)]
    assert redundancy(embeddings, rows) == pytest.approx([*nearest, np.nan], nan_ok=True)
    assert np.isnan(redundancy(embeddings, rows[:1])).all()
    # Clarity is what EmbSim compares with random samples.
    scored = monosemanticity(codes, embeddings, 8)
    assert clarity(embeddings, rows) == pytest.approx(scored.similarity, nan_ok=True)


def shapley(image: np.ndarray, text: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Shapley values of all entries of a pair by every coalition, (2, f)."""
    f = len(image)
    entries, absent = np.concatenate([image, text]), means.ravel()
    found = np.zeros(2 * f)
    for player in range(2 * f):
        rest = [each for each in range(2 * f) if each != player]
        for size in range(2 * f):
            for coalition in combinations(rest, size):
                worth = []
                for members in (coalition, (*coalition, player)):
                    present = np.isin(np.arange(2 * f), members)
                    a, b = np.where(present, entries, absent).reshape(2, f)
                    worth.append(a @ b)
                share = factorial(size) * factorial(2 * f - 1 - size) / factorial(2 * f)
                found[player] += share * (worth[1] - worth[0])
    return found.reshape(2, f)


def test_the_share_is_that_of_shapley_values_over_all_coalitions(rng: np.random.Generator) -> None:
    image, text = rng.normal(size=(2, 6, 3))
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (image, text)]
    means = np.stack([each.mean(axis=0) for each in unit])
    values = np.stack([shapley(a, b, means) for a, b in zip(*unit, strict=True)])
    exact = (unit[0] * unit[1]).sum(axis=1) - means[0] @ means[1]
    assert values.sum(axis=(1, 2)) == pytest.approx(exact)
    size = np.abs(values)
    found = modality_share(image, text)
    assert found.of_feature == pytest.approx(size[:, 0].sum(axis=0) / size.sum(axis=(0, 1)))
    assert found.of_pair == pytest.approx(size[:, 0].sum(axis=1) / size.sum(axis=(1, 2)))
    assert found.weight == pytest.approx(size.sum(axis=(0, 1)) / size.sum())
    sparse = modality_share(sp.csr_array(image), sp.csr_array(text))
    assert sparse.of_feature == pytest.approx(found.of_feature)
    assert modality_share(image, text, np.arange(4)).of_pair == pytest.approx(
        modality_share(image[:4], text[:4]).of_pair
    )


def test_the_share_is_of_what_varies_and_not_of_what_is_large(rng: np.random.Generator) -> None:
    image, text = np.abs(rng.normal(size=(2, 300, 5)))
    found = modality_share(image, text)
    assert modality_share(9 * image, text).of_feature == pytest.approx(found.of_feature)
    # A bias: large on every image, and the same, at equal lengths of rows.
    image = image / np.linalg.norm(image, axis=1, keepdims=True)
    biased = np.concatenate([image, np.full((300, 1), 5.0)], axis=1)
    share = modality_share(biased, np.concatenate([text, np.abs(rng.normal(size=(300, 1)))], axis=1))
    assert share.of_feature[5] < 0.05
    idle = modality_share(np.pad(image, ((0, 0), (0, 1))), np.pad(text, ((0, 0), (0, 1))))
    assert np.isnan(idle.of_feature[5])


def test_rank_correlations_are_spearmans_in_every_resample(rng: np.random.Generator) -> None:
    first = rng.integers(0, 6, 40).astype(float)
    second = first + rng.normal(size=40)
    second[3] = np.nan
    found = rank_correlation(first, second, 200, 0)
    known = ~np.isnan(second)
    wanted = spearmanr(first[known], second[known])
    assert (found.features, found.value) == (39, pytest.approx(wanted.statistic))
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.low < found.value < found.high
    counts = rng.multinomial(39, np.full(39, 1 / 39), 5)
    values = correlations(first[known], second[known], counts)
    for each, value in zip(counts, values, strict=True):
        taken = np.repeat(np.arange(39), each)
        assert value == pytest.approx(spearmanr(first[known][taken], second[known][taken]).statistic)
    assert np.isnan(rank_correlation(first[:9], second[:9], 100, 0).value)
    assert np.isnan(rank_correlation(np.ones(40), second, 100, 0).value)


def test_intervals_of_rank_correlations_hold_the_truth(rng: np.random.Generator) -> None:
    """Spearman's rho of a normal pair with correlation r is 6 / pi asin(r / 2)."""
    r, holds, p = 0.6, [], []
    for _ in range(60):
        a, noise, other = rng.normal(size=(3, 80))
        found = rank_correlation(a, r * a + (1 - r**2) ** 0.5 * noise, 200, 0)
        holds.append(found.low <= 6 / np.pi * np.arcsin(r / 2) <= found.high)
        p.append(rank_correlation(a, other, 100, 0).p)
    assert np.mean(holds) > 0.85
    assert np.mean(np.array(p) < 0.05) < 0.15
