"""Features of two trainings matched by direction."""

from itertools import permutations

import numpy as np
import pytest
import torch

from modalens.errors import ModalensError
from modalens.interpret import matching
from modalens.interpret.matching import cosine_by_chance, find_again, match_features


def rotated(
    rng: np.random.Generator, f: int, d: int, noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions, the same in another order and length with noise, and the order."""
    first = rng.normal(size=(f, d))
    order = rng.permutation(f)
    second = (first + noise * rng.normal(size=(f, d)))[order] * rng.uniform(0.1, 9, (f, 1))
    return first, second, order


@pytest.mark.parametrize("assigned", [2048, 0])
def test_shuffled_directions_are_found_again(rng, monkeypatch, assigned):
    """By assignment, and by mutual nearest neighbours in blocks."""
    monkeypatch.setattr(matching, "_ASSIGNED", assigned)
    monkeypatch.setattr(matching, "_BLOCK_ROWS", 7)
    first, second, order = rotated(rng, 60, 32, 0.2)
    match = match_features(torch.tensor(first), second)
    assert len(match) == 60
    assert match.first.tolist() == list(range(60))
    np.testing.assert_array_equal(order[match.second], match.first)
    for i, j, cosine in zip(match.first, match.second, match.cosine, strict=True):
        expected = first[i] @ second[j] / np.linalg.norm(first[i]) / np.linalg.norm(second[j])
        assert cosine == pytest.approx(expected)


def test_the_assignment_is_the_best_of_all(rng):
    first, second = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second))
    best = max(permutations(range(5)), key=lambda order: sum(a[i] @ b[j] for i, j in enumerate(order)))
    match = match_features(first, second, threshold=-1)
    assert match.second.tolist() == list(best)


def test_mutual_neighbours_are_those_of_a_plain_loop(rng, monkeypatch):
    monkeypatch.setattr(matching, "_ASSIGNED", 0)
    monkeypatch.setattr(matching, "_BLOCK_ROWS", 4)
    first, second = rng.normal(size=(30, 6)), rng.normal(size=(21, 6))
    cosines = np.array([[x @ y / np.linalg.norm(x) / np.linalg.norm(y) for y in second] for x in first])
    expected = [
        (i, int(j))
        for i, j in enumerate(cosines.argmax(axis=1))
        if cosines[:, j].argmax() == i and cosines[i, j] >= 0.5
    ]
    match = match_features(first, second, threshold=0.5)
    assert list(zip(match.first.tolist(), match.second.tolist(), strict=True)) == expected
    assert 0 < len(expected) < 21


@pytest.mark.parametrize("assigned", [2048, 0])
def test_couples_under_the_threshold_and_opposites_are_dropped(monkeypatch, assigned):
    monkeypatch.setattr(matching, "_ASSIGNED", assigned)
    first = np.eye(4)
    second = np.array([[1, 0.2, 0, 0], [0, -1, 0, 0], [0, 0, 0, 0], [0, 0, 0.5, 1.0]])
    match = match_features(first, second)
    assert list(zip(match.first.tolist(), match.second.tolist(), strict=True)) == [(0, 0), (3, 3)]


def test_directions_at_random_find_no_partner(rng):
    assert len(match_features(rng.normal(size=(300, 128)), rng.normal(size=(300, 128)))) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": np.ones((3, 5))}, "Decoder rows of 4 and of 5 dimensions cannot be matched"),
        ({"second": np.ones(3)}, "The second decoder must have two dimensions"),
        ({"first": np.full((3, 4), np.nan)}, "The first decoder matrix has a NaN"),
        ({"threshold": 1.5}, "between -1 and 1, not 1.5"),
    ],
)
def test_bad_input_gets_one_sentence(change, message):
    with pytest.raises(ModalensError, match=message):
        match_features(**{"first": np.ones((3, 4)), "second": np.ones((3, 4)), **change})


def test_features_that_other_seeds_have_are_counted(rng: np.random.Generator) -> None:
    """Three trainings: 30 directions in all, 10 in the first two, 10 of the first alone; two features never fire."""
    shared, couple, alone = rng.normal(size=(3, 30, 64))
    decoders = [
        np.concatenate([shared, couple[:10], alone[:10]]),
        np.concatenate([couple[:10], shared[::-1]]),
        shared + 0.02 * rng.normal(size=shared.shape),
    ]
    fired = [np.full(len(each), 5) for each in decoders]
    fired[0][:2] = 0
    fired[0][2:30] = 50
    first, second, third = find_again(decoders, fired, 0.7)
    assert first.counts.tolist() == [-1, -1] + [2] * 28 + [1] * 10 + [0] * 10
    assert second.counts.tolist() == [1] * 10 + [2] * 28 + [1] * 2
    assert (first.others, first.share) == (2, pytest.approx((38 / 48 + 28 / 48) / 2))
    weight = 28 * 50 + 20 * 5
    assert first.weighted == pytest.approx(((28 * 50 + 50) / weight + 28 * 50 / weight) / 2)
    # Random directions in 64 dimensions have a cosine of some .3 with the nearest of 40.
    assert cosine_by_chance(48, 64) < 0.4 < first.cosine < 1
    assert third.share == pytest.approx((28 / 30 + 1) / 2)


def test_a_training_whose_features_are_all_dead_has_no_share() -> None:
    found = find_again([np.eye(3), np.eye(3)], [np.zeros(3, int), np.ones(3, int)])
    assert np.isnan(found[0].share)
    assert found[1].counts.tolist() == [0, 0, 0]
