import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modalens.errors import ModalensError
from modalens.interpret.histograms import activation_histograms


def check_against_numpy(image, text, bins, result):
    for feature in range(image.shape[1]):
        sides = {"image": image[:, feature], "text": text[:, feature]}
        active = {name: values[values != 0] for name, values in sides.items()}
        both = np.concatenate(list(active.values()))
        for name, values in active.items():
            assert getattr(result, f"{name}_zeros")[feature] == len(image) - len(values)
            counts = getattr(result, name)[feature]
            if both.size == 0:
                assert np.isnan(result.edges[feature]).all()
                assert not counts.any()
                continue
            expected, edges = np.histogram(values, bins, range=(both.min(), both.max()))
            np.testing.assert_array_equal(counts, expected)
            np.testing.assert_allclose(result.edges[feature], edges, rtol=1e-12, atol=1e-15)


# Quarters sit on bin bounds often, where rounding matters.
matrices = arrays(np.float64, (2, 7, 3), elements=st.integers(-8, 8).map(lambda value: value / 4))


@settings(max_examples=60)
@given(both=matrices, bins=st.integers(1, 9), sparse=st.booleans())
def test_counts_are_those_of_numpy(both, bins, sparse):
    image, text = both
    given = [sp.csr_array(side) for side in both] if sparse else both
    check_against_numpy(image, text, bins, activation_histograms(*given, bins))


def test_kinds_of_matrix_and_blocks_agree(rng, monkeypatch):
    image, text = rng.exponential(size=(2, 500, 6)) * (rng.random((2, 500, 6)) < 0.2)
    image[:, 2] = text[:, 2] = 0
    image[:, 3] = 0
    text[:, 4] = np.where(text[:, 4] > 0, 1.5, 0)
    whole = activation_histograms(image, text)
    check_against_numpy(image, text, 20, whole)
    monkeypatch.setattr("modalens.interpret.histograms.default_block_rows", lambda matrix: 37)
    for convert in (np.asarray, torch.from_numpy, sp.csr_array, sp.csc_matrix):
        result = activation_histograms(convert(image), convert(text))
        for field in ("edges", "image", "text", "image_zeros", "text_zeros"):
            np.testing.assert_array_equal(getattr(result, field), getattr(whole, field))


def test_dense_signed_features_fill_all_bins(rng):
    image, text = rng.normal(size=(2, 2000, 4))
    result = activation_histograms(image, text + 1, bins=10)
    assert (result.image.sum(axis=1) == 2000).all()
    np.testing.assert_array_equal(result.edges[:, 0], np.minimum(image.min(0), (text + 1).min(0)))
    np.testing.assert_array_equal(result.edges[:, -1], np.maximum(image.max(0), (text + 1).max(0)))


@pytest.mark.parametrize("bins", [0, -1, 2.0, True])
def test_bins_must_be_a_positive_whole_number(bins):
    with pytest.raises(ModalensError, match="bins"):
        activation_histograms(np.ones((3, 2)), np.ones((3, 2)), bins)


def test_bad_matrices_are_named():
    with pytest.raises(ModalensError, match="features"):
        activation_histograms(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(ModalensError, match="text matrix has a NaN"):
        activation_histograms(np.ones((3, 2)), np.full((3, 2), np.nan))
