import pytest
import torch

from modalens.features.step import decode, encode, over_threshold, top_k_of_batch, top_k_per_sample


def problem(n=7, d=5, f=12, seed=0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    x, w_enc, w_dec, target = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((n, d), (f, d), (f, d), (n, d))
    )
    b_enc = torch.randn(f, generator=generator, dtype=torch.float64) + shift
    return [t.requires_grad_() for t in (x, w_enc, b_enc, w_dec)], target


def dense_loss(parameters, target, keep, dead=None, aux_k=0):
    """The step as a plain dense network."""
    x, w_enc, b_enc, w_dec = parameters
    activations = (x @ w_enc.T + b_enc).relu()
    codes = activations * keep(activations)
    x_hat = codes @ w_dec
    loss = ((x_hat - target) ** 2).sum()
    if dead is not None and aux_k:
        masked = activations[:, dead]
        best = torch.topk(masked, min(aux_k, masked.shape[1]), dim=1, sorted=False).indices
        aux = torch.zeros_like(masked).scatter(1, best, masked.gather(1, best))
        loss = loss + ((aux @ w_dec[dead] - (target - x_hat).detach()) ** 2).sum() / 3
    return loss


def sparse_loss(parameters, target, select, dead=None, aux_k=0):
    x, w_enc, b_enc, w_dec = parameters
    codes, auxiliary = encode(x, w_enc, b_enc, select, dead, aux_k)
    x_hat = decode(codes, w_dec)
    loss = ((x_hat - target) ** 2).sum()
    if auxiliary is not None:
        loss = loss + ((decode(auxiliary, w_dec) - (target - x_hat).detach()) ** 2).sum() / 3
    return loss


def keep_top_k(k):
    def keep(activations):
        best = torch.topk(activations, k, dim=1, sorted=False).indices
        return torch.zeros_like(activations).scatter(1, best, 1.0)

    return keep


def keep_batch_top_k(k):
    def keep(activations):
        best = torch.topk(activations.reshape(-1), k * len(activations), sorted=False).indices
        return (
            torch.zeros(activations.numel(), dtype=activations.dtype)
            .scatter(0, best, 1.0)
            .reshape_as(activations)
        )

    return keep


CASES = {
    "top k": (top_k_per_sample(3), keep_top_k(3)),
    "all": (top_k_per_sample(12), keep_top_k(12)),
    "top k of the batch": (top_k_of_batch(3), keep_batch_top_k(3)),
    "threshold": (over_threshold(0.5), lambda a: (a > 0.5).double()),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shift", [0.0, -3.0, -100.0], ids=["usual", "few positive", "none positive"])
@pytest.mark.parametrize("aux", [False, True])
def test_loss_and_gradients_are_those_of_the_dense_step(case, shift, aux):
    select, keep = CASES[case]
    parameters, target = problem(shift=shift)
    dead = torch.arange(12) % 3 == 0 if aux else None
    losses, gradients = [], []
    for loss in (
        sparse_loss(parameters, target, select, dead, 2),
        dense_loss(parameters, target, keep, dead, 2),
    ):
        losses.append(loss)
        gradients.append(torch.autograd.grad(loss, parameters))
    torch.testing.assert_close(*losses, rtol=1e-12, atol=1e-12)
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)


def test_ties_are_broken_as_the_dense_step_breaks_them():
    parameters, target = problem()
    _, w_enc, b_enc, _ = parameters
    with torch.no_grad():
        w_enc[6:] = w_enc[:6]
        b_enc[6:] = b_enc[:6]
    ours = torch.autograd.grad(sparse_loss(parameters, target, top_k_per_sample(3)), parameters)
    plain = torch.autograd.grad(dense_loss(parameters, target, keep_top_k(3)), parameters)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_fewer_dead_features_than_the_auxiliary_loss_may_use():
    parameters, target = problem()
    dead = torch.arange(12) == 4
    ours = torch.autograd.grad(sparse_loss(parameters, target, top_k_per_sample(3), dead, 5), parameters)
    plain = torch.autograd.grad(dense_loss(parameters, target, keep_top_k(3), dead, 5), parameters)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    codes, auxiliary = encode(*parameters[:3], top_k_per_sample(3), torch.zeros(12, dtype=torch.bool), 5)
    assert auxiliary is None
    assert codes.offsets.tolist() == list(range(0, 22, 3))


def test_the_backward_pass_of_decoding_decodes_nothing_again(monkeypatch):
    parameters, target = problem()
    x, w_enc, b_enc, w_dec = parameters
    codes, _ = encode(x.detach(), w_enc, b_enc, top_k_per_sample(3))
    decoded = decode(codes, w_dec)
    monkeypatch.setattr("modalens.features.step.functional.embedding_bag", None)
    grad, _ = torch.autograd.grad(decoded, (codes.values, w_dec), target)
    rows = w_dec[codes.features] * target[codes.rows()]
    torch.testing.assert_close(grad, rows.sum(dim=1))


@pytest.mark.parametrize("share", [1.0, 0.02])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_k_strongest_are_those_of_pytorch(share, dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 300, generator=generator)
    x = torch.where(torch.rand(x.shape, generator=generator) < share, x, 0.0).relu().to(dtype)
    features, offsets = top_k_per_sample(9)(x)
    assert offsets.tolist() == list(range(0, 361, 9))
    features = features.reshape(40, 9)
    assert all(len(set(row)) == 9 for row in features.tolist())
    wanted = torch.topk(x, 9, dim=1).values
    assert torch.equal(x.gather(1, features).sort(dim=1, descending=True).values, wanted)
    assert ((wanted > 0).all().item()) == (share == 1.0)
