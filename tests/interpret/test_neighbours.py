import numpy as np
import pytest
import scipy.sparse as sp
import torch

from modalens.errors import ModalensError
from modalens.interpret import neighbours
from modalens.interpret.neighbours import nearest_features


def naive(directions, k):
    f = len(directions)
    indices, cosine = np.full((f, k), -1), np.full((f, k), np.nan)
    for i in range(f):
        found = []
        for j in range(f):
            lengths = np.linalg.norm(directions[i]) * np.linalg.norm(directions[j])
            if i != j and lengths > 0:
                found.append((-directions[i] @ directions[j] / lengths, j))
        for place, (value, j) in enumerate(sorted(found)[:k]):
            indices[i, place], cosine[i, place] = j, -value
    return indices, cosine


@pytest.mark.parametrize("k", [1, 4, 60])
@pytest.mark.parametrize("entries", [2**23, 130])
def test_equals_a_naive_loop(k, entries, rng, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK_ENTRIES", entries)
    directions = rng.normal(size=(40, 12)) * rng.uniform(0.01, 100, (40, 1))
    directions[[5, 17]] = 0
    indices, cosine = naive(directions, k)
    for convert in (np.asarray, torch.from_numpy, sp.csr_array):
        found = nearest_features(convert(directions), k)
        np.testing.assert_array_equal(found[0], indices)
        np.testing.assert_allclose(found[1], cosine, atol=1e-12)


def test_transposed_sparse_codes(rng):
    codes = rng.exponential(size=(300, 25)) * (rng.random((300, 25)) < 0.1)
    indices, cosine = nearest_features(sp.csr_array(codes).T, 3)
    expected = naive(codes.T, 3)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(cosine, expected[1], atol=1e-12)


def test_equal_directions_come_in_order_and_never_leave_the_range():
    indices, cosine = nearest_features(np.full((4, 3), 0.1), 2)
    np.testing.assert_array_equal(indices[0], [1, 2])
    assert (cosine <= 1).all()
    np.testing.assert_allclose(cosine, 1)


def test_one_feature_alone_has_no_neighbour():
    indices, cosine = nearest_features(np.ones((1, 3)), 2)
    assert (indices == -1).all()
    assert np.isnan(cosine).all()


@pytest.mark.parametrize("k", [0, 1.5, True])
def test_k_must_be_a_positive_whole_number(k):
    with pytest.raises(ModalensError, match="k must"):
        nearest_features(np.eye(3), k)


def test_bad_directions_are_named():
    with pytest.raises(ModalensError, match="direction matrix has a NaN"):
        nearest_features(np.full((3, 2), np.nan))
    with pytest.raises(ModalensError, match="two dimensions"):
        nearest_features(np.ones(3))
