import numpy as np
import pytest
import torch

from modalens.features.config import SAEConfig
from modalens.features.learners import SAELearner
from tests.features.kinds import TRAINED

D, F, K, N = 6, 20, 3, 16


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, N, D, generator=generator)


def dense_codes(learner, x, kind):
    z = ((x - learner.b_pre) @ learner.W_enc.T + learner.b_enc).relu()
    if kind == "batch_topk":
        kept = torch.zeros(z.numel()).scatter(0, z.reshape(-1).topk(K * len(x)).indices, 1.0).reshape_as(z)
    else:
        kept = torch.zeros_like(z).scatter(1, z.topk(K, dim=1).indices, 1.0)
    return z * kept


@pytest.mark.parametrize("kind", TRAINED)
def test_losses_are_their_equations(kind):
    learner = SAELearner(SAEConfig(D, F, K, kind, dead_after=10, aux_k=4))
    image, text = batch()
    learner.initialise(image, text)
    learner.pairs_since_fired[:, ::4] = 10
    x = torch.cat([image, text])
    z = dense_codes(learner, x, kind)
    expected = {}
    errors = [
        (x - (z[:, :length] @ learner.W_dec[:length] + learner.b_pre)).square().sum() / N
        for length in ([2, 5, 10, 20] if kind == "matryoshka" else [20])
    ]
    expected["reconstruction"] = sum(errors) / len(errors)
    residual = x - (z @ learner.W_dec + learner.b_pre)
    dead = ((x - learner.b_pre) @ learner.W_enc[::4].T + learner.b_enc[::4]).relu()
    dead = dead * torch.zeros_like(dead).scatter(1, dead.topk(4, dim=1).indices, 1.0)
    expected["auxiliary"] = (residual - dead @ learner.W_dec[::4]).square().sum() / N / 32
    if kind == "aligned":
        rest = z.scatter(1, z.argmax(dim=1, keepdim=True), 0.0)
        cosine = torch.nn.functional.cosine_similarity(rest[:N], rest[N:], dim=1)
        expected["alignment"] = 0.03 * (1 - cosine.mean())
    loss = learner.loss(image, text)
    assert loss.parts.keys() == expected.keys()
    for name, part in loss.parts.items():
        torch.testing.assert_close(part, expected[name].detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.total.detach(), sum(expected.values()).detach(), rtol=1e-4, atol=1e-5)


def test_firing_is_counted_for_each_modality():
    learner = SAELearner(SAEConfig(D, F, K))
    image, text = batch()
    fired = [(dense_codes(learner, side, "topk") > 0).any(dim=0) for side in (image, text)]
    for _ in range(2):
        learner.loss(image, text)
    assert torch.equal(learner.pairs_since_fired, torch.where(torch.stack(fired), 0, 2 * N))


def test_decoder_rows_keep_unit_norm_and_their_gradient_turns_them_only():
    learner = SAELearner(SAEConfig(D, F, K))
    torch.autograd.backward(learner.loss(*batch()).total)
    learner.before_step()
    along = (learner.W_dec.grad * learner.W_dec).sum(dim=1)
    assert along.abs().max() < 1e-5
    optimiser = torch.optim.SGD(learner.parameters(), 0.1)
    optimiser.step()
    learner.after_step()
    torch.testing.assert_close(torch.linalg.vector_norm(learner.W_dec, dim=1), torch.ones(F))


def test_a_learner_starts_at_the_mean_with_the_encoder_as_the_decoder():
    learner = SAELearner(SAEConfig(D, F, K, seed=3))
    image, text = batch()
    learner.initialise(image, text)
    assert torch.equal(learner.W_enc, learner.W_dec)
    np.testing.assert_allclose(learner.b_pre.detach(), torch.cat([image, text]).mean(dim=0), atol=1e-6)
    assert torch.equal(learner.W_dec, SAELearner(SAEConfig(D, F, K, seed=3)).W_dec)
    assert not torch.equal(learner.W_dec, SAELearner(SAEConfig(D, F, K, seed=4)).W_dec)
