"""The group-sparse autoencoder: its penalty, its masks and its gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig, load_features, train
from modalens.features.group_sparse import GroupSparseLearner, GroupSparseSAE, group_norm, unmasked_top_k
from modalens.features.step import Codes, encode, top_k_per_sample

D, F, K, N = 8, 12, 3, 20
SCHEDULE = TrainConfig(steps=40, batch_size=64, lr=0.01, warmup_steps=1, log_every=20, checkpoint_every=10)


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of one meaning in two cones."""
    shared = rng.standard_normal((400, D)).astype(np.float32)
    offset = np.eye(D, dtype=np.float32)[0] * 3
    return shared + offset, shared - offset


def test_the_norm_is_that_of_pairs_of_activations() -> None:
    x = torch.randn(2 * N, D, generator=torch.Generator().manual_seed(1))
    weight = torch.randn(F, D, generator=torch.Generator().manual_seed(2))
    codes, _ = encode(x, weight, torch.zeros(F), top_k_per_sample(K))
    dense = torch.zeros(2 * N, F)
    dense[codes.rows(), codes.features] = codes.values
    wanted = (dense[:N] ** 2 + dense[N:] ** 2).sqrt().sum(dim=1).mean()
    torch.testing.assert_close(group_norm(codes, N, F), wanted, atol=1e-4, rtol=1e-4)


def test_sharing_a_feature_costs_less_than_having_one_each() -> None:
    def codes(text_feature: int) -> Codes:
        return Codes(torch.ones(2), torch.tensor([0, text_feature]), torch.tensor([0, 1, 2]))

    assert float(group_norm(codes(0), 1, F)) == pytest.approx(2**0.5, abs=1e-4)
    assert float(group_norm(codes(1), 1, F)) == pytest.approx(2, abs=1e-4)


def test_masked_features_are_never_chosen() -> None:
    activations = torch.rand(N, F, generator=torch.Generator().manual_seed(3))
    kept = torch.arange(F) % 2 == 0
    features, offsets = unmasked_top_k(K, kept)(activations)
    wanted = (activations * kept).topk(K, dim=1).indices
    assert torch.equal(features.reshape(N, K).sort().values, wanted.sort().values)
    assert offsets.tolist() == list(range(0, N * K + 1, K))
    few, offsets = unmasked_top_k(K, torch.arange(F) < 2)(torch.zeros(N, F))
    assert set(few.tolist()) == {0, 1}
    assert offsets.tolist() == list(range(0, 2 * N + 1, 2))


def test_loss_and_gradients_are_those_of_the_equation() -> None:
    learner = GroupSparseLearner(SAEConfig(D, F, K, "group_sparse", group_lambda=0.2, masked=0.4))
    sides = torch.randn(2, N, D, generator=torch.Generator().manual_seed(4))
    learner.initialise(*sides)
    torch.testing.assert_close(learner.b_pre, sides.mean(dim=1))
    kept = learner._kept()
    assert 0 < int(kept.sum()) < F
    found = learner.loss(*sides).total
    found.sum().backward()
    codes, wanted = [], torch.zeros(())
    for x, bias in zip(sides, learner.b_pre, strict=True):
        active = functional.relu((x - bias) @ learner.W_enc.T + learner.b_enc) * kept
        code = active * torch.zeros(N, F).scatter(1, active.topk(K).indices, 1.0)
        wanted = wanted + (x - code @ learner.W_dec - bias).square().sum() / N
        codes.append(code)
    wanted = wanted + 0.2 * (codes[0] ** 2 + codes[1] ** 2 + 1e-12).sqrt().sum() / N
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    names = ("W_enc", "W_dec", "b_enc", "b_pre")
    for name, grad in zip(
        names, torch.autograd.grad(wanted, [getattr(learner, name) for name in names]), strict=True
    ):
        torch.testing.assert_close(getattr(learner, name).grad, grad, msg=name)


def test_masks_change_from_batch_to_batch_and_follow_from_the_seed() -> None:
    def masks(seed: int) -> list[list[bool]]:
        learner = GroupSparseLearner(SAEConfig(D, 64, K, "group_sparse", masked=0.5, seed=seed))
        found = []
        for _ in range(3):
            found.append(learner._kept().tolist())
            learner.loss(torch.randn(4, D), torch.randn(4, D))
        return found

    first = masks(0)
    assert first[0] != first[1] != first[2]
    assert masks(0) == first
    assert masks(1) != first


def test_it_trains_saves_and_needs_the_modality(pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    config = SAEConfig(D, F, K, "group_sparse")
    found = train([config], pairs, SCHEDULE, out=tmp_path)[0]
    assert isinstance(found.model, GroupSparseSAE)
    losses = [entry["loss"] for entry in found.log]
    assert losses[-1]["reconstruction"] < losses[0]["reconstruction"]
    assert losses[0]["group"] > 0
    again = load_features(tmp_path)
    assert again.card() == found.model.card()
    for side, name in zip(pairs, ("image", "text"), strict=True):
        codes = again.encode(side, name)
        missed = np.square(again.decode(codes, name) - side).sum()
        wanted = found.log[-1]["train"][f"fvu_{name}"]
        assert missed / np.square(side - side.mean(axis=0)).sum() == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(ModalensError, match="say which one"):
        again.encode(pairs[0])


def test_a_cone_takes_no_feature(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    configs = [SAEConfig(D, F, K, kind) for kind in ("topk", "group_sparse")]
    trained = train(configs, pairs, TrainConfig(steps=150, batch_size=100))
    shared = []
    for each in trained:
        image, text = (
            each.model.encode(x, name).toarray() > 0 for x, name in zip(pairs, ("image", "text"), strict=True)
        )
        shared.append((image & text).sum() / (image | text).sum())
    assert shared[1] > shared[0] + 0.2


def test_three_modalities_are_refused(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ModalensError, match="more than two"):
        train([SAEConfig(D, F, K, "group_sparse")], (*pairs, pairs[0]), SCHEDULE)
