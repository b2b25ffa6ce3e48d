import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig, train
from modalens.features.logs import LOG_NAME, MeanLosses, TrainingLog, open_trackers, scalars

TRAIN = TrainConfig(steps=20, batch_size=16, log_every=10, checkpoint_every=10)


@pytest.fixture
def pairs(rng):
    return tuple(rng.standard_normal((2, 40, 6)))


@pytest.fixture
def trackers(monkeypatch):
    """Stand-ins for both trackers' packages; gives what they were told."""
    told: dict[str, Any] = {"tensorboard": [], "wandb": [], "closed": []}

    class SummaryWriter:
        def __init__(self, folder):
            told["folder"] = folder

        def add_scalar(self, name, value, step):
            told["tensorboard"].append((name, value, step))

        def close(self):
            told["closed"].append("tensorboard")

    def init(**options):
        told["options"] = options
        return SimpleNamespace(
            log=lambda values, step: told["wandb"].extend((name, v, step) for name, v in values.items()),
            finish=lambda: told["closed"].append("wandb"),
        )

    for name, content in (
        ("torch.utils.tensorboard", {"SummaryWriter": SummaryWriter}),
        ("wandb", {"init": init}),
    ):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return told


def test_trackers_take_every_number_of_the_log(pairs, tmp_path, trackers):
    configs = [SAEConfig(6, 12, 2), SAEConfig(6, 8, 2)]
    one, other = train(configs, pairs, TRAIN, out=tmp_path, trackers=("tensorboard", "wandb"))
    assert trackers["tensorboard"] == trackers["wandb"]
    told = {(name, step): value for name, value, step in trackers["wandb"]}
    assert told["0/train/fvu_image", 10] == one.log[0]["train"]["fvu_image"]
    assert told["1/loss/reconstruction", 20] == other.log[1]["loss"]["reconstruction"]
    recall = one.log[1]["train"]["retrieval"]["image_to_text"]["5"]
    assert told["0/train/retrieval/image_to_text/5", 20] == recall[0]
    assert trackers["closed"] == ["tensorboard", "wandb"]
    assert trackers["folder"] == str(tmp_path / "tensorboard")
    assert trackers["options"]["config"]["configuration"][1]["n_features"] == 8


def test_trackers_are_closed_when_training_fails(pairs, tmp_path, trackers):
    bad = (np.where(np.arange(40)[:, None] == 3, 1e30, pairs[0]), pairs[1])
    with pytest.raises(ModalensError, match=r"of configuration 0 .* at batch"):
        train([SAEConfig(6, 12, 2)], bad, TRAIN, out=tmp_path, trackers=("tensorboard",))
    assert trackers["closed"] == ["tensorboard"]


def test_trackers_that_cannot_be_opened(pairs, tmp_path, monkeypatch):
    config = SAEConfig(6, 12, 2)
    with pytest.raises(ModalensError, match="no tracker 'mlflow'; there are tensorboard and wandb"):
        train([config], pairs, TRAIN, out=tmp_path, trackers=("mlflow",))
    with pytest.raises(ModalensError, match="needs a folder"):
        train([config], pairs, TRAIN, trackers=("wandb",))
    for name in ("torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(ModalensError, match=r"is not installed; run: pip install 'modalens\[trackers\]'"):
            open_trackers([name], tmp_path, {})


def test_the_real_tensorboard_reads_it(pairs, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (trained,) = train([SAEConfig(6, 12, 2)], pairs, TRAIN, out=tmp_path, trackers=("tensorboard",))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found = [(e.step, e.value) for e in events.Scalars("0/train/fvu_text")]
    assert found == [(e["step"], pytest.approx(e["train"]["fvu_text"], rel=1e-6)) for e in trained.log]


def test_a_restored_log_forgets_what_came_after(tmp_path):
    log = TrainingLog(tmp_path)
    entries = [{"step": step, "learner": learner, "x": 1.5} for step in (1, 2) for learner in (0, 1)]
    for entry in entries:
        log.add(entry)
    assert log.of_learner(1) == [entries[1], entries[3]]
    log.restore(entries[:2])
    assert [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()] == entries[:2]


def test_scalars_name_numbers_by_path():
    values = {"a": {"b": 1, "c": [0.5, 0.4, 0.6]}, "d": 2.0}
    assert dict(scalars(values)) == {"a/b": 1.0, "a/c": 0.5, "d": 2.0}


def test_losses_are_means_over_the_steps_between_evaluations():
    losses = MeanLosses(2)
    for value in (1.0, 2.0, 6.0):
        losses.add(0, {"a": torch.tensor(value)} | ({"b": torch.tensor(3.0)} if value > 5 else {}))
        losses.add(1, {"a": torch.tensor(-value)})
    again = MeanLosses(2)
    again.restore(json.loads(json.dumps(losses.state())))
    for each in (losses, again):
        assert each.take() == [{"a": 3.0, "b": 1.0}, {"a": -3.0}]
    losses.add(0, {"a": torch.tensor(5.0)})
    losses.add(1, {"a": torch.tensor(5.0)})
    assert losses.take() == [{"a": 5.0}, {"a": 5.0}]
