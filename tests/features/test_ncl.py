import dataclasses
import json

import numpy as np
import pytest
import torch

from modalens.errors import ModalensError
from modalens.features import NCL, NCLConfig, TrainConfig
from modalens.features.evaluation import Sample, evaluate
from modalens.features.ncl import NCLLearner

D, F = 6, 16


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 20, D, generator=generator)


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_the_loss_is_its_equation(batch, normalize, temperature):
    learner = NCLLearner(NCLConfig(D, F, temperature, normalize))
    layers = learner.projector.layers
    sides = []
    for x in batch.double().numpy():
        weights = [p.detach().double().numpy() for p in learner.parameters()]
        hidden = x @ weights[0].T + weights[1]
        hidden = (hidden - hidden.mean(axis=1, keepdims=True)) / np.sqrt(
            hidden.var(axis=1, keepdims=True) + 1e-5
        )
        hidden = np.maximum(hidden * weights[2] + weights[3], 0)
        side = np.maximum(hidden @ weights[4].T + weights[5], 0)
        sides.append(side / np.linalg.norm(side, axis=1, keepdims=True) if normalize else side)
    assert [type(layer).__name__ for layer in layers] == ["Linear", "LayerNorm", "ReLU", "Linear", "ReLU"]
    logits = sides[0] @ sides[1].T / temperature
    expected = -(np.diag(log_softmax(logits)) + np.diag(log_softmax(logits.T))).mean() / 2
    loss = learner.loss(*batch)
    assert float(loss.total.detach()) == pytest.approx(expected, rel=1e-5)
    assert loss.parts == {"contrastive": loss.total.detach()}


def test_the_loss_moves_every_weight(batch):
    learner = NCLLearner(NCLConfig(D, F))
    torch.autograd.backward(learner.loss(*batch).total)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in learner.parameters())


def test_seeds_make_the_start():
    states = [NCLLearner(NCLConfig(D, F, seed=seed)).state_dict() for seed in (1, 1, 2)]
    torch.manual_seed(5)
    states.append(NCLLearner(NCLConfig(D, F, seed=1)).state_dict())
    assert all(
        torch.equal(states[0][k], states[1][k]) and torch.equal(states[0][k], states[3][k]) for k in states[0]
    )
    assert not torch.equal(states[0]["projector.layers.0.weight"], states[2]["projector.layers.0.weight"])


def test_sparsity_is_measured(batch):
    learner = NCLLearner(NCLConfig(D, F))
    found = evaluate(learner, Sample(*batch))
    for modality, x in zip(("image", "text"), batch, strict=True):
        codes = learner.export().encode(x, modality)
        assert codes.data.min() > 0
        assert found[f"active_share_{modality}"] == pytest.approx(codes.nnz / (20 * F))
        assert 0 < found[f"active_share_{modality}"] < 0.9


def test_a_projector_survives_the_disk_with_its_configuration(batch, tmp_path):
    config = NCLConfig(D, F, temperature=0.3, normalize=False, seed=4)
    ncl = NCLLearner(config).export()
    ncl.save(tmp_path)
    again = NCL.load(tmp_path)
    assert again.config == config
    assert np.array_equal(again.encode(batch[0]).toarray(), ncl.encode(batch[0]).toarray())


def test_damaged_files(tmp_path):
    with pytest.raises(ModalensError, match="holds no trained features"):
        NCL.load(tmp_path)
    NCLLearner(NCLConfig(D, F)).export().save(tmp_path)
    weights, settings = tmp_path / "ncl.safetensors", tmp_path / "config.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-40])
    with pytest.raises(ModalensError, match="cannot be read"):
        NCL.load(tmp_path)
    weights.write_bytes(whole)
    values = json.loads(settings.read_text())
    settings.write_text(json.dumps({**values, "config": {**values["config"], "n_features": 5}}))
    with pytest.raises(ModalensError, match="do not fit the configuration"):
        NCL.load(tmp_path)
    settings.write_text(json.dumps({**values, "kind": "something else"}))
    with pytest.raises(ModalensError, match="does not hold features that this"):
        NCL.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"d": 0}, "d is 0"),
        ({"n_features": -1}, "n_features is -1"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be over 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
    ],
)
def test_bad_settings(change, sentence):
    with pytest.raises(ModalensError, match=sentence):
        dataclasses.replace(NCLConfig(D, F), **change)


def test_bad_input(batch):
    x = batch.numpy()
    with pytest.raises(ModalensError, match="has no option 'k'; it takes batch_size"):
        NCL.fit(tuple(x), k=3)
    ncl = NCL.fit(tuple(x), n_features=F, train=TrainConfig(steps=2, log_every=2))
    with pytest.raises(ModalensError, match="The image matrix has 4 features; this NCL was trained on 6"):
        ncl.encode(x[0, :, :4], "image")
    with pytest.raises(ModalensError, match="NaN or infinite value in row 1"):
        ncl.encode(np.where(np.arange(20)[:, None] == 1, np.nan, x[0]))
