import dataclasses
import json
import os
import signal

import numpy as np
import pytest
import torch

from modalens.errors import ModalensError
from modalens.features import NCLConfig, SAEConfig, TrainConfig, trainer
from modalens.features.checkpoints import KEPT_CHECKPOINTS
from modalens.features.evaluation import Representation, Sample, evaluate
from modalens.features.learners import SAELearner
from modalens.features.logs import LOG_NAME
from modalens.features.ncl import NCLLearner
from modalens.features.trainer import train
from modalens.runs import embed
from tests.fakes import FakePairs, FakeVLM, colour_pairs
from tests.features.kinds import TRAINED

CONFIGS = [SAEConfig(8, 16, 3, dead_after=100), NCLConfig(8, 12)]
# Kinds that keep more than their weights from step to step, or hold some of these back.
OTHERS = [
    SAEConfig(8, 16, 3, "frozen_decoder"),
    SAEConfig(8, 16, 3, "soft_frozen"),
    SAEConfig(8, 16, 3, "group_sparse", masked=0.3),
    SAEConfig(8, 16, 3, "separate"),
]
TRAIN = TrainConfig(steps=40, batch_size=32, log_every=10, checkpoint_every=10, warmup_steps=5)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((300, 8))
    return shared + 0.3 * rng.standard_normal((2, 300, 8)) + np.array([0.5, -0.5])[:, None, None]


def tensors(trained):
    model = trained.model
    return model.state()


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert a.log == b.log
        left, right = tensors(a), tensors(b)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("die_at", [3, 10, 27, 39])
def test_a_stopped_run_ends_with_the_same_bits(pairs, tmp_path, monkeypatch, die_at):
    configs = [*CONFIGS, *OTHERS]
    config = dataclasses.replace(TRAIN, log_every=15)  # so that checkpoints fall between evaluations
    whole = train(configs, tuple(pairs), config, out=tmp_path / "whole")
    step = trainer._Training._step

    def dying(self, *batch):
        if self.step == die_at:
            raise KeyboardInterrupt
        step(self, *batch)

    with monkeypatch.context() as patched:
        patched.setattr(trainer._Training, "_step", dying)
        with pytest.raises(KeyboardInterrupt):
            train(configs, tuple(pairs), config, out=tmp_path / "broken")
    assert_same(train(configs, tuple(pairs), config, out=tmp_path / "broken"), whole)
    for path in (tmp_path / "whole").rglob("*"):
        if path.is_file():
            assert (
                path.read_bytes() == (tmp_path / "broken" / path.relative_to(tmp_path / "whole")).read_bytes()
            )
    assert_same(train(configs, tuple(pairs), config), whole)


def test_a_termination_signal_saves_first(pairs, tmp_path, monkeypatch):
    whole = train(CONFIGS, tuple(pairs), TRAIN)
    step = trainer._Training._step

    def signalled(self, *batch):
        if self.step == 13:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, *batch)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        patched.setattr(trainer._Training, "_step", signalled)
        with pytest.raises(SystemExit) as end:
            train(CONFIGS, tuple(pairs), TRAIN, out=tmp_path)
    assert end.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / "checkpoint-000000014.safetensors").exists()
    assert_same(train(CONFIGS, tuple(pairs), TRAIN, out=tmp_path), whole)


def test_ctrl_c_saves_first_and_says_so(pairs, tmp_path, monkeypatch, caplog):
    whole = train(CONFIGS, tuple(pairs), TRAIN)
    step = trainer._Training._step

    def interrupted(self, *batch):
        if self.step == 13:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)  # torchrun hands on what the terminal has sent
        step(self, *batch)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        patched.setattr(trainer._Training, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIGS, tuple(pairs), TRAIN, out=tmp_path)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIGS, tuple(pairs), TRAIN)
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "checkpoint-000000014.safetensors").exists()
    assert f"Stopped by Ctrl-C after 14 steps; a checkpoint is in {tmp_path}" in caplog.text
    assert "nothing is kept, as no folder was named" in caplog.text
    assert_same(train(CONFIGS, tuple(pairs), TRAIN, out=tmp_path), whole)


def test_a_stopped_run_keeps_the_same_few_checkpoints(pairs, tmp_path, monkeypatch):
    config = dataclasses.replace(TRAIN, checkpoint_every=2)
    train(CONFIGS, tuple(pairs), config, out=tmp_path / "whole")
    step = trainer._Training._step

    def signalled(self, *batch):
        if self.step == 12:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, *batch)

    with monkeypatch.context() as patched:
        patched.setattr(trainer._Training, "_step", signalled)
        with pytest.raises(SystemExit):
            train(CONFIGS, tuple(pairs), config, out=tmp_path / "broken")
    assert [path.name for path in sorted((tmp_path / "broken").glob("checkpoint*"))][-2:] == [
        "checkpoint-000000012.safetensors",
        "checkpoint-000000013.safetensors",
    ]
    train(CONFIGS, tuple(pairs), config, out=tmp_path / "broken")
    kept = [sorted((tmp_path / name).glob("checkpoint*")) for name in ("whole", "broken")]
    assert len(kept[0]) == KEPT_CHECKPOINTS + 1
    assert [path.read_bytes() for path in kept[0]] == [path.read_bytes() for path in kept[1]]
    assert_same(
        train(CONFIGS, tuple(pairs), config, out=tmp_path / "broken"), train(CONFIGS, tuple(pairs), config)
    )


def test_the_device_can_be_named_and_is_no_part_of_what_is_trained(pairs, tmp_path):
    half = dataclasses.replace(TRAIN, steps=10)
    train(CONFIGS[:1], tuple(pairs), half, out=tmp_path)
    train(CONFIGS[:1], tuple(pairs), dataclasses.replace(half, device="cpu"), out=tmp_path)
    with pytest.raises(ModalensError, match="'warp' is not available"):
        train(CONFIGS[:1], tuple(pairs), dataclasses.replace(TRAIN, device="warp"))


def test_configurations_on_one_pass_are_what_they_are_alone(pairs):
    together = train(CONFIGS, tuple(pairs), TRAIN)
    for number, config in enumerate(CONFIGS):
        (alone,) = train([config], tuple(pairs), TRAIN)
        assert all(torch.equal(tensors(alone)[k], v) for k, v in tensors(together[number]).items())


def test_the_log_says_what_was_reached(pairs, tmp_path):
    sae, ncl = train(CONFIGS, tuple(pairs), TRAIN, out=tmp_path, held_out=tuple(pairs[:, :60]))
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert lines == sorted(sae.log + ncl.log, key=lambda entry: (entry["step"], entry["learner"]))
    assert [entry["step"] for entry in sae.log] == [10, 20, 30, 40]
    last = sae.log[-1]
    assert last["train"]["fvu_image"] < sae.log[0]["train"]["fvu_image"] < 1
    assert {"fvu_image", "fvu_text", "active_image", "active_text", "dead", "retrieval"} <= last[
        "held_out"
    ].keys()
    assert "fvu_image" not in ncl.log[-1]["train"]
    x = pairs[0].astype(np.float32)
    x_hat = sae.model.decode(sae.model.encode(pairs[0]))
    fvu = ((x - x_hat) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert last["train"]["fvu_image"] == pytest.approx(fvu, rel=1e-4)
    active = {
        m: np.unique(sae.model.encode(side).indices) for m, side in zip(("image", "text"), pairs, strict=True)
    }
    assert last["train"]["active_text"] == len(active["text"])
    assert last["train"]["dead"] == 16 - len(np.union1d(active["image"], active["text"]))


def test_training_from_a_store_is_training_from_its_matrices(tmp_path):
    store = embed(FakePairs(colour_pairs(70)), FakeVLM(), tmp_path / "store", rows_per_shard=16)
    config = SAEConfig(6, 12, 2)
    from_store, from_arrays = (
        train([config], data, TRAIN) for data in (store, (store.image[:], store.text[:]))
    )
    assert_same(from_store, from_arrays)


def test_standardisation_is_measured_on_the_data(pairs):
    image, text = pairs
    each = train([SAEConfig(8, 16, 3, standardise="per_modality")], (image, text), TRAIN)[0]
    np.testing.assert_allclose(tensors(each)["mean"], pairs.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(tensors(each)["scale"], pairs.std(axis=1), atol=1e-6)
    shared = train([SAEConfig(8, 16, 3, standardise="shared")], (image, text), TRAIN)[0]
    both = np.concatenate([image, text])
    np.testing.assert_allclose(tensors(shared)["mean"], [both.mean(axis=0)] * 2, atol=1e-6)
    np.testing.assert_allclose(tensors(shared)["scale"], [both.std(axis=0)] * 2, atol=1e-6)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoints(pairs, tmp_path, monkeypatch):
    loss = SAELearner.loss

    def broken(self, image, text):
        found = loss(self, image, text)
        return found._replace(total=found.total * float("nan")) if self.calls() == 25 else found

    calls = iter(range(1000))
    monkeypatch.setattr(SAELearner, "calls", lambda self: next(calls), raising=False)
    monkeypatch.setattr(SAELearner, "loss", broken)
    with pytest.raises(
        ModalensError, match=r"loss of configuration 0 is nan at batch 25; checkpoints in .* are kept"
    ):
        train(CONFIGS[:1], tuple(pairs), TRAIN, out=tmp_path)
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == [
        "checkpoint-000000010.safetensors",
        "checkpoint-000000020.safetensors",
    ]


def test_bad_data_and_settings(pairs):
    image, text = pairs
    with pytest.raises(ModalensError, match="is for width 5, the train pairs have width 8"):
        train([SAEConfig(5, 16, 3)], (image, text), TRAIN)
    with pytest.raises(ModalensError, match="300 rows and the text matrix 299"):
        train(CONFIGS, (image, text[:-1]), TRAIN)
    with pytest.raises(ModalensError, match="NaN or infinite value in row 7"):
        train(CONFIGS, (np.where(np.arange(300)[:, None] == 7, np.nan, image), text), TRAIN)
    for name, value in (("steps", 0), ("batch_size", -1), ("lr", 0.0), ("patience", -1)):
        with pytest.raises(ModalensError, match=f"{name} is {value}"):
            TrainConfig(**{name: value})


def test_a_settled_run_ends_before_its_budget(pairs):
    config = dataclasses.replace(TRAIN, steps=4000, patience=3, tolerance=0.5)
    (trained,) = train(CONFIGS[:1], tuple(pairs), config)
    assert trained.log[-1]["step"] < 400


def test_evaluation_draws_what_it_is_told(pairs):
    sample = Sample.draw(*pairs, 40, seed=0)
    assert sample.image.shape == (40, 8)
    rows = [int(np.abs(pairs[0] - x.numpy()).sum(axis=1).argmin()) for x in sample.image]
    np.testing.assert_allclose(sample.text, pairs[1][rows], rtol=1e-6)
    third = torch.tensor([True, False, True])
    perfect = type("Perfect", (), {"represent": lambda _, x, m: Representation(x, len(x) * third, True)})()
    found = evaluate(perfect, sample)
    assert found["fvu_image"] == found["fvu_text"] == 0
    assert found["active_image"] == found["active_text"] == 2
    assert found["dead"] == found["dead_image"] == found["dead_text"] == 1
    assert found["active_share_image"] == pytest.approx(2 / 3)
    assert found["retrieval"] == found["retrieval_before"]


@pytest.mark.parametrize(
    "config", [*(SAEConfig(8, 64, 3, kind, dead_after=1) for kind in TRAINED), NCLConfig(8, 32)]
)
def test_a_gpu_rounds_the_products_alone(config):
    """What training on a GPU does about precision, done on the CPU: gradients stay whole and nearly the same."""
    generator = torch.Generator().manual_seed(0)
    batches = torch.randn(3, 2, 64, 8, generator=generator)
    gradients = []
    for rounded in (False, True):
        learner = NCLLearner(config) if isinstance(config, NCLConfig) else SAELearner(config)
        for image, text in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
                loss = learner.loss(image, text)
        assert loss.total.dtype == torch.float32
        torch.autograd.backward(loss.total)
        gradients.append({name: p.grad for name, p in learner.named_parameters()})
    for name, gradient in gradients[1].items():
        assert gradient.dtype == torch.float32
        assert (
            torch.nn.functional.cosine_similarity(gradient.ravel(), gradients[0][name].ravel(), dim=0) > 0.98
        )
    assert any(not torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
