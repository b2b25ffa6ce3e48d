"""Train feature learners on the pairs of a store, one or several on one pass."""

import json
import logging
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

import modalens
from modalens.arrays import Matrix, iter_blocks, paired_shape
from modalens.errors import ModalensError
from modalens.features.batches import PairBatches
from modalens.features.checkpoints import latest_checkpoint, load_checkpoint, save_checkpoint
from modalens.features.config import SAEConfig
from modalens.features.evaluation import Sample, evaluate, settled
from modalens.features.learners import SAELearner
from modalens.features.ncl import NCL, NCLConfig, NCLLearner
from modalens.features.sae import SparseAutoencoder, Standardiser
from modalens.progress import progress_bar
from modalens.store import EmbeddingStore
from modalens.store.atomic import whole_file

logger = logging.getLogger(__name__)

FeatureConfig: TypeAlias = SAEConfig | NCLConfig
Learner: TypeAlias = SAELearner | NCLLearner
# A store, or paired matrices (image, text).
PairData: TypeAlias = EmbeddingStore | tuple[Matrix, Matrix]

LOG_NAME = "log.jsonl"


@dataclass(frozen=True)
class TrainConfig:
    """How learners are trained.

    Attributes
    ----------
    steps
        Budget of batches.
    batch_size
        Pairs in a batch.
    lr
        Peak learning rate of AdamW, reached after ``warmup_steps`` and brought to 0 over the last fifth.
    warmup_steps, weight_decay, clip
        Warm-up, weight decay, and the largest norm of a gradient.
    log_every, checkpoint_every
        Steps between evaluations (which the log keeps) and between checkpoints.
    evaluation_pairs
        Pairs that evaluations look at.
    patience, tolerance
        Stop before the budget when the active features of images and of texts have moved by no more than
        ``tolerance`` of their number over ``patience`` evaluations (the papers' rule). Patience 0 never stops.
    seed
        Seed of the order of the pairs.
    """

    steps: int = 2000
    batch_size: int = 1024
    lr: float = 3e-3
    warmup_steps: int = 50
    weight_decay: float = 0.0
    clip: float = 1.0
    log_every: int = 100
    checkpoint_every: int = 500
    evaluation_pairs: int = 2000
    patience: int = 0
    tolerance: float = 0.005
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "checkpoint_every", "evaluation_pairs"):
            if getattr(self, name) < 1:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("lr", "clip"):
            if not getattr(self, name) > 0:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must be over 0.")
        for name in ("warmup_steps", "weight_decay", "patience", "tolerance"):
            if not getattr(self, name) >= 0:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must not be negative.")

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        rising = (step + 1) / self.warmup_steps if step < self.warmup_steps else 1.0
        last = max(1, self.steps // 5)
        return self.lr * rising * min(1.0, (self.steps - step) / last)


@dataclass(frozen=True)
class Trained:
    """One trained model, with the log of its training: one dictionary an evaluation."""

    model: SparseAutoencoder | NCL
    log: list[dict[str, Any]]


def train(
    configs: Sequence[FeatureConfig],
    data: PairData,
    config: TrainConfig | None = None,
    *,
    held_out: PairData | None = None,
    out: str | Path | None = None,
) -> list[Trained]:
    """Train every configuration on one pass over the pairs.

    Parameters
    ----------
    configs
        What to train; all see the same batches.
    data
        A store, or two paired matrices.
    config
        How to train.
    held_out
        Pairs to evaluate on beside those trained on.
    out
        Folder for ``log.jsonl``, checkpoints and, at the end, the models (in the folder itself if there is
        one configuration, else in ``model-0``, ``model-1``, ...). A run that was stopped goes on from its last
        checkpoint and ends with the same bits.

    Raises
    ------
    ModalensError
        If widths differ, a value is NaN, a checkpoint is damaged or another run's, or a loss is no longer
        finite; the last good checkpoint is kept.
    """
    config = config or TrainConfig()
    image, text = _sides(data)
    batches = PairBatches(image, text, config.batch_size, config.seed)
    for each in configs:
        if each.d != batches.d:
            raise ModalensError(f"The configuration is for width {each.d}, the pairs have width {batches.d}.")
    samples = {"train": Sample.draw(image, text, config.evaluation_pairs, config.seed)}
    if held_out is not None:
        samples["held_out"] = Sample.draw(*_sides(held_out), config.evaluation_pairs, config.seed)
    run = _Training(configs, image, text, batches, samples, config, None if out is None else Path(out))
    return run.run()


class _Training:
    def __init__(
        self,
        configs: Sequence[FeatureConfig],
        image: Matrix,
        text: Matrix,
        batches: PairBatches,
        samples: dict[str, Sample],
        config: TrainConfig,
        out: Path | None,
    ) -> None:
        self.config, self.batches, self.samples, self.out = config, batches, samples, out
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.learners = [_make_learner(each, image, text).to(self.device) for each in configs]
        for learner in self.learners:
            first = samples["train"]
            learner.initialise(first.image.to(self.device), first.text.to(self.device))
        self.optimisers = [
            torch.optim.AdamW(learner.parameters(), config.lr, weight_decay=config.weight_decay, fused=True)
            for learner in self.learners
        ]
        self.identity = {
            "configuration": [asdict(each) for each in configs],
            "training": asdict(config),
            "pairs": batches.n,
        }
        self.step = 0
        self.parts: list[dict[str, Tensor]] = [{} for _ in self.learners]
        self.log: list[dict[str, Any]] = []

    def run(self) -> list[Trained]:
        self._resume()
        with progress_bar("Training", self.config.steps) as advance, _stop_signal() as stopped:
            advance(self.step)
            for image, text in self.batches.from_step(self.step):
                if self.step >= self.config.steps or self._settled():
                    break
                self._step(image.to(self.device), text.to(self.device))
                self.step += 1
                advance(1)
                if self.step % self.config.log_every == 0 or self.step == self.config.steps:
                    self._evaluate()
                if self.step % self.config.checkpoint_every == 0:
                    self._checkpoint()
                if stopped.is_set():
                    self._checkpoint()
                    raise SystemExit(128 + signal.SIGTERM)
        if not self.log or self.log[-1]["step"] != self.step:
            self._evaluate()
        return self._finish()

    def _step(self, image: Tensor, text: Tensor) -> None:
        for number, (learner, optimiser) in enumerate(zip(self.learners, self.optimisers, strict=True)):
            for group in optimiser.param_groups:
                group["lr"] = self.config.rate(self.step)
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
                loss = learner.loss(image, text)
            value = float(loss.total.detach())
            if not math.isfinite(value):
                kept = "nothing was kept" if self.out is None else f"checkpoints in {self.out} are kept"
                raise ModalensError(
                    f"The loss of configuration {number} is {value} at batch {self.step}; {kept}, so "
                    "lower the learning rate or look for extreme values in the pairs."
                )
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss.total)
            learner.before_step()
            torch.nn.utils.clip_grad_norm_(learner.parameters(), self.config.clip)
            optimiser.step()
            learner.after_step()
            self.parts[number] = loss.parts

    def _evaluate(self) -> None:
        for number, learner in enumerate(self.learners):
            entry: dict[str, Any] = {"step": self.step, "pairs_seen": self.step * self.batches.batch_size}
            entry |= {
                "learner": number,
                "loss": {name: float(part) for name, part in self.parts[number].items()},
            }
            for name, sample in self.samples.items():
                there = Sample(sample.image.to(self.device), sample.text.to(self.device))
                entry[name] = evaluate(learner, there)
            self.log.append(entry)
        self._write_log()

    def _settled(self) -> bool:
        if self.config.patience == 0:
            return False
        histories = [
            [
                (e["train"]["active_image"], e["train"]["active_text"])
                for e in self.log
                if e["learner"] == number
            ]
            for number in range(len(self.learners))
        ]
        return all(settled(history, self.config.patience, self.config.tolerance) for history in histories)

    def _write_log(self) -> None:
        if self.out is not None:
            with whole_file(self.out / LOG_NAME) as partial:
                partial.write_text("".join(json.dumps(entry) + "\n" for entry in self.log), encoding="utf-8")

    def _checkpoint(self) -> None:
        if self.out is not None:
            header = {**self.identity, "step": self.step, "log": self.log, "modalens": modalens.__version__}
            path = self.out / f"checkpoint-{self.step:09d}.safetensors"
            save_checkpoint(path, self.learners, self.optimisers, header)

    def _resume(self) -> None:
        path = None if self.out is None else latest_checkpoint(self.out)
        if path is not None:
            header = load_checkpoint(path, self.learners, self.optimisers, self.identity)
            self.step, self.log = header["step"], header["log"]
            self._write_log()
            logger.info("Going on from %s", path)

    def _finish(self) -> list[Trained]:
        trained = []
        for number, learner in enumerate(self.learners):
            log = [entry for entry in self.log if entry["learner"] == number]
            trained.append(Trained(learner.export(), log))
            if self.out is not None:
                trained[-1].model.save(self.out if len(self.learners) == 1 else self.out / f"model-{number}")
        return trained


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM sets, so that training can save itself first."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)


def _make_learner(config: FeatureConfig, image: Matrix, text: Matrix) -> Learner:
    if isinstance(config, NCLConfig):
        return NCLLearner(config)
    if config.standardise == "none":
        return SAELearner(config)
    means, squares = [], []
    for matrix, name in ((image, "image"), (text, "text")):
        n = paired_shape(image, text)[0]
        total, square = np.zeros(config.d), np.zeros(config.d)
        for _, block in iter_blocks(matrix, name=name):
            dense = block.toarray() if hasattr(block, "toarray") else block
            total += dense.sum(axis=0)
            square += np.square(dense).sum(axis=0)
        means.append(total / n)
        squares.append(square / n)
    mean, square = np.stack(means), np.stack(squares)
    if config.standardise == "shared":
        mean = np.broadcast_to(mean.mean(axis=0), mean.shape)
        square = np.broadcast_to(square.mean(axis=0), square.shape)
    scale = np.sqrt(np.maximum(square - mean**2, 0))
    scale = np.where(scale > 1e-8, scale, 1.0)  # a constant dimension stays as it is
    return SAELearner(config, Standardiser(torch.from_numpy(mean.copy()), torch.from_numpy(scale)))


def pair_width(data: PairData) -> int:
    """Width of paired data."""
    return paired_shape(*_sides(data))[1]


def _sides(data: PairData) -> tuple[Matrix, Matrix]:
    return (data.image, data.text) if isinstance(data, EmbeddingStore) else data
