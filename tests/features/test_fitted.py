"""Dictionaries by classical factorisations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from sklearn.decomposition import PCA

from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig, load_features, train
from modalens.features.fitted import nonnegative_codes
from modalens.features.saelens import save_saelens

SCHEDULE = TrainConfig(steps=40, batch_size=64, evaluation_pairs=100)
D = 8


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Non-Gaussian sources, mixed, with a mean; the text side moved aside."""
    sources = rng.laplace(size=(2, 300, D))
    image, text = sources @ rng.standard_normal((D, D)) + 3
    return image.astype(np.float32), (text + 1).astype(np.float32)


def fitted(kind: str, pairs: tuple[np.ndarray, np.ndarray], n: int = 2 * D, k: int = 3, **more: Any) -> Any:
    return train([SAEConfig(D, n, k, kind)], pairs, SCHEDULE, **more)[0]


@pytest.mark.parametrize("kind", ["pca", "ica"])
def test_all_components_together_give_the_embeddings_back(
    kind: str, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    model = fitted(kind, pairs, k=D).model
    codes = model.encode(pairs[0], "image")
    assert codes.min() >= 0
    assert (np.diff(codes.indptr) <= D).all(), "of either sign of a component one fires"
    np.testing.assert_allclose(model.decode(codes), pairs[0], atol=1e-3)
    np.testing.assert_allclose(model.W_dec.norm(dim=1), 1, atol=1e-5)


def test_components_are_those_of_both_sides_together(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    model = fitted("pca", pairs, n=5).model
    x = np.concatenate(pairs).astype(np.float64)
    expected = PCA(3).fit(x).components_
    np.testing.assert_allclose(model.b_pre, x.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(np.abs(model.W_dec[::2].double() @ expected.T), np.eye(3), atol=1e-5)
    np.testing.assert_array_equal(model.W_dec[1], -model.W_dec[0])
    more = fitted("pca", pairs, n=2 * D + 3)
    assert not more.model.W_dec[2 * D :].any()
    assert more.log[0]["train"]["dead"] >= 3, "there are two features a dimension at most"


@pytest.mark.parametrize("kind", ["pca", "ica", "nmf"])
def test_nothing_is_trained_and_what_is_saved_is_the_same(
    kind: str, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    found = fitted(kind, pairs, held_out=pairs, out=tmp_path)
    assert [entry["step"] for entry in found.log] == [0]
    assert found.log[0]["held_out"]["fvu_image"] == pytest.approx(
        _unexplained(found.model, pairs[0]), rel=0.2
    )
    again = load_features(tmp_path)
    assert type(again) is type(found.model)
    for one, other in zip((found.model, again), (again, found.model), strict=True):
        assert (one.encode(pairs[1], "text") != other.encode(pairs[1], "text")).nnz == 0
    assert fitted(kind, pairs, out=tmp_path).model.card() == found.model.card()
    x = torch.tensor(pairs[0], requires_grad=True)
    found.model.encode_tensor(x, "image").sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def _unexplained(model: Any, x: np.ndarray) -> float:
    error = np.square(x - model.decode(model.encode(x, "image"), "image")).sum()
    return float(error / np.square(x - x.mean(axis=0)).sum())


def test_codes_of_factors_are_a_sparse_non_negative_fit(rng: np.random.Generator) -> None:
    parts = rng.random((12, 10))
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    truth = np.zeros((20, 12))
    for row in truth:
        row[rng.choice(12, 2, replace=False)] = rng.uniform(1, 2, 2)
    both = truth @ parts
    centred = both[:, :5] - both[:, 5:]
    codes = nonnegative_codes(torch.tensor(centred), torch.tensor(parts), 3).numpy()
    assert (codes >= 0).all()
    assert ((codes > 0).sum(axis=1) <= 3).all()
    target = np.concatenate([np.maximum(centred, 0), np.maximum(-centred, 0)], axis=1)
    for code, row in zip(codes, target, strict=True):
        active = np.flatnonzero(code)
        best = nnls(parts[active].T, row)[1]
        assert np.linalg.norm(row - code @ parts) <= 1.1 * best + 1e-3


def test_saelens_has_no_place_for_codes_that_are_solved_for(
    pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    with pytest.raises(ModalensError, match="as those of NMF are"):
        save_saelens(fitted("nmf", pairs).model, tmp_path)


def test_fitted_features_stand_beside_trained_ones_on_one_pass(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    configs = [SAEConfig(D, 6, 3, kind) for kind in ("pca", "topk", "nmf")]
    found = train(configs, pairs, TrainConfig(steps=10, batch_size=64, log_every=5))
    assert found[0].model.card() == fitted("pca", pairs, n=6).model.card()
    assert [[entry["step"] for entry in each.log] for each in found] == [[5, 10]] * 3
    assert found[1].log[-1]["loss"]["reconstruction"] > 0
