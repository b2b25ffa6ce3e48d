"""The autoencoder whose pairs share their features: its choice, its gradients, and that it trains."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from modalens.features import SAEConfig, TrainConfig, train
from modalens.features.shared_choice import SharedTopKLearner, SharedTopKSAE, shared_top_k

D, F, K, N = 8, 12, 3, 20


@pytest.mark.parametrize("sides", [2, 3])
def test_sides_of_a_sample_get_the_same_features(sides: int) -> None:
    activations = torch.rand(sides * N, F, generator=torch.Generator().manual_seed(1))
    features, offsets = shared_top_k(K, sides)(activations)
    chosen = features.reshape(sides, N, K)
    assert torch.equal(offsets, torch.arange(0, sides * N * K + 1, K))
    for sample in range(N):
        total = sum(activations[side * N + sample] for side in range(sides))
        wanted = set(torch.as_tensor(total).topk(K).indices.tolist())
        assert all(set(chosen[side, sample].tolist()) == wanted for side in range(sides))


def test_loss_and_gradients_are_those_of_the_equation() -> None:
    learner = SharedTopKLearner(SAEConfig(D, F, K, "shared_topk"))
    generator = torch.Generator().manual_seed(2)
    image, text = torch.randn(2, N, D, generator=generator)
    found = learner.loss(image, text).total
    found.backward()
    activations = [
        functional.relu((x - learner.b_pre) @ learner.W_enc.T + learner.b_enc) for x in (image, text)
    ]
    mask = torch.zeros(N, F).scatter(1, (activations[0] + activations[1]).topk(K).indices, 1.0)
    wanted = torch.zeros(())
    for x, active in zip((image, text), activations, strict=True):
        wanted = wanted + (x - (active * mask) @ learner.W_dec - learner.b_pre).square().sum() / N
    torch.testing.assert_close(found, wanted)
    names = ("W_enc", "W_dec", "b_enc", "b_pre")
    for name, grad in zip(
        names, torch.autograd.grad(wanted, [getattr(learner, name) for name in names]), strict=True
    ):
        torch.testing.assert_close(getattr(learner, name).grad, grad, msg=name)


def test_it_trains_to_codes_that_pairs_share(rng: np.random.Generator) -> None:
    meaning = rng.standard_normal((400, D)).astype(np.float32)
    noise = rng.standard_normal((2, 400, D)).astype(np.float32) * 0.7
    image, text = meaning + noise[0], meaning + noise[1]
    configs = [SAEConfig(D, F, K, kind) for kind in ("topk", "shared_topk")]
    trained = train(configs, (image, text), TrainConfig(steps=150, batch_size=100))
    shared = []
    for each in trained:
        codes = [each.model.encode(x).toarray() > 0 for x in (image, text)]
        shared.append((codes[0] & codes[1]).sum() / (codes[0] | codes[1]).sum())
    assert isinstance(trained[1].model, SharedTopKSAE)
    assert shared[1] > shared[0]
