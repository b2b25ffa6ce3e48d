import dataclasses
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import nn

from modalens.errors import ModalensError
from modalens.features import NCLConfig, SAEConfig, TrainConfig, load_features, train
from modalens.features.checkpoints import (
    KEPT_CHECKPOINTS,
    checkpoint_file,
    latest_step,
    load_checkpoint,
    save_checkpoint,
    steps_kept,
    steps_to_keep,
    thin_checkpoints,
)

CONFIG = SAEConfig(8, 16, 3, dead_after=100)
TRAIN = TrainConfig(steps=40, batch_size=32, log_every=10, checkpoint_every=10, warmup_steps=5)


@pytest.fixture
def pairs(rng):
    return tuple(rng.standard_normal((2, 200, 8)))


def stepped(seed):
    """A small model and its optimiser after some steps."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.BatchNorm1d(3)
    optimiser = torch.optim.AdamW(model.parameters(), 0.1, fused=True)
    for _ in range(4):
        model(torch.randn(5, 3, generator=generator)).pow(2).sum().backward()
        optimiser.step()
    return model, optimiser


def test_what_comes_back_is_what_was_saved(tmp_path):
    pairs = [stepped(seed) for seed in (0, 1)]
    models, optimisers = zip(*pairs, strict=True)
    header = {"step": 4, "x": [0.1, None], "configuration": {"betas": (0.9, 0.99)}}
    save_checkpoint(checkpoint_file(tmp_path, 4), models, optimisers, header)
    others = [stepped(seed) for seed in (2, 3)]
    back = load_checkpoint(
        checkpoint_file(tmp_path, 4), *zip(*others, strict=True), {"configuration": header["configuration"]}
    )
    assert back == {"step": 4, "x": [0.1, None], "configuration": {"betas": [0.9, 0.99]}}
    for (model, optimiser), (other, other_optimiser) in zip(pairs, others, strict=True):
        for name, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                assert torch.equal(value, other_optimiser.state_dict()["state"][index][name])


def test_the_newest_checkpoint_is_the_one_of_the_last_step(tmp_path):
    assert latest_step(tmp_path) is None
    assert latest_step(tmp_path / "absent") is None
    for name in (
        "checkpoint-000000020.safetensors",
        "checkpoint-1000000000.safetensors",
        "checkpoint-000000030.safetensors",
        "checkpoint-2000000000.safetensors.partial",
        "sae.safetensors",
    ):
        (tmp_path / name).touch()
    assert latest_step(tmp_path) == 1_000_000_000
    assert checkpoint_file(tmp_path, 10**9).exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_checkpoint_cut_short(pairs, tmp_path, share):
    (whole,) = train([CONFIG], pairs, TRAIN, out=tmp_path)
    newest = checkpoint_file(tmp_path, 40)
    content = newest.read_bytes()
    newest.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModalensError, match=r"checkpoint-000000040.safetensors cannot be read .* remove it"):
        train([CONFIG], pairs, TRAIN, out=tmp_path)
    newest.unlink()
    (again,) = train([CONFIG], pairs, TRAIN, out=tmp_path)
    assert torch.equal(again.model.W_enc, whole.model.W_enc)  # type: ignore[attr-defined]
    assert newest.read_bytes() == content


def test_checkpoints_of_another_run(pairs, tmp_path):
    train([CONFIG], pairs, TRAIN, out=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    for other in ([SAEConfig(8, 16, 4)], [CONFIG, CONFIG], [NCLConfig(8)]):
        with pytest.raises(ModalensError, match="made with another configuration"):
            train(other, pairs, TRAIN, out=tmp_path)
    with pytest.raises(ModalensError, match="made with another training"):
        train([CONFIG], pairs, dataclasses.replace(TRAIN, lr=1.0), out=tmp_path)
    for data in ((pairs[0], pairs[1] + 1), (pairs[0][:100], pairs[1][:100])):
        with pytest.raises(ModalensError, match="made with another data"):
            train([CONFIG], data, TRAIN, out=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.*")} == before


def test_a_folder_is_trained_into_by_one_run_at_a_time(pairs, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(ModalensError, match="Another process is training into"):
        train([CONFIG], pairs, TRAIN, out=tmp_path)
    train([CONFIG], pairs, TRAIN, out=tmp_path)


LONG = dataclasses.replace(TRAIN, steps=300, log_every=100, checkpoint_every=50)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a training that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train([CONFIG], tuple(np.random.default_rng(0).standard_normal((2, 200, 8))), LONG, out=folder)
    return folder


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stopped_process_goes_on_to_the_same_bits(pairs, whole, tmp_path, sign, code):
    np.save(tmp_path / "x.npy", pairs)
    script = (
        "import sys, numpy as np, torch; torch.set_num_threads(1)\n"
        "from modalens.features import SAEConfig, TrainConfig, train\n"
        f"train([{CONFIG!r}], tuple(np.load(sys.argv[1])), {LONG!r}, out=sys.argv[2])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "x.npy"), str(tmp_path / "broken")]
    process = subprocess.Popen(command)
    while latest_step(tmp_path / "broken") is None:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sign)
    assert process.wait(20) == code
    assert latest_step(tmp_path / "broken") < LONG.steps
    train([CONFIG], pairs, LONG, out=tmp_path / "broken")
    for name in ("sae.safetensors", "log.jsonl", "checkpoint-000000300.safetensors"):
        assert (tmp_path / "broken" / name).read_bytes() == (whole / name).read_bytes()


def test_of_a_finished_training_a_few_checkpoints_stay(tmp_path):
    assert steps_to_keep(500, 20_000) == {2000, 4500, 6500, 9000, 11_000, 13_500, 15_500, 18_000, 20_000}
    assert steps_to_keep(100, 550) == {100, 200, 300, 400, 500}
    assert steps_to_keep(100, 99) == set()
    for step in (*range(2, 41, 2), 33):  # one of a run that was stopped at 33
        checkpoint_file(tmp_path, step).touch()
    thin_checkpoints(tmp_path, 2, 41)
    assert steps_kept(tmp_path) == sorted(steps_to_keep(2, 41))
    assert len(steps_kept(tmp_path)) == KEPT_CHECKPOINTS + 1
    assert steps_kept(tmp_path)[-1] == 40


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_one_flipped_bit_of_a_checkpoint_is_noticed(pairs, tmp_path, place):
    train([CONFIG], pairs, TRAIN, out=tmp_path)
    newest = checkpoint_file(tmp_path, 40)
    raw = bytearray(newest.read_bytes())
    raw[int(place * len(raw))] ^= 1
    newest.write_bytes(raw)
    with pytest.raises(ModalensError, match=r"checkpoint-000000040.safetensors .* remove it"):
        train([CONFIG], pairs, TRAIN, out=tmp_path)


def test_one_flipped_bit_of_weights_is_noticed(pairs, tmp_path):
    (trained,) = train([CONFIG], pairs, TRAIN)
    trained.model.save(tmp_path)
    weights = tmp_path / trained.model.weights_name
    raw = bytearray(weights.read_bytes())
    raw[-5] ^= 4
    weights.write_bytes(raw)
    with pytest.raises(ModalensError, match="checksum differs"):
        load_features(tmp_path)
