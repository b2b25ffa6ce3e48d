"""Train feature learners on the pairs of a store, one or several on one pass."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from modalens.arrays import Matrix, paired_shape
from modalens.errors import ModalensError
from modalens.features import distributed
from modalens.features.base import FeatureModel, Learner
from modalens.features.batches import PairBatches
from modalens.features.checkpoints import (
    checkpoint_file,
    latest_step,
    load_checkpoint,
    read_learner,
    save_checkpoint,
    steps_kept,
    thin_checkpoints,
)
from modalens.features.config import FeatureConfig
from modalens.features.evaluation import Sample, evaluate
from modalens.features.logs import Entry, MeanLosses, TrainingLog, open_trackers
from modalens.features.registry import kind_named, kind_of, kind_of_values, kinds
from modalens.features.settings import TrainConfig
from modalens.features.stopping import LossWatch, settled, termination
from modalens.progress import progress_bar
from modalens.store import EmbeddingStore, JoinedStore
from modalens.store.lock import alone_in
from modalens.towers.compute import pick_device
from modalens.version import __version__

logger = logging.getLogger(__name__)

# A store, or aligned matrices (image, text, ...).
PairData: TypeAlias = EmbeddingStore | JoinedStore | tuple[Matrix, ...]


@dataclass(frozen=True)
class Trained:
    """One trained model, with the log of its training: one dictionary an evaluation."""

    model: FeatureModel
    log: list[Entry]


def train(
    configs: Sequence[FeatureConfig],
    data: PairData,
    config: TrainConfig | None = None,
    *,
    held_out: PairData | None = None,
    out: str | Path | None = None,
    trackers: Sequence[str] = (),
) -> list[Trained]:
    """Train every configuration on one pass over the pairs.

    Under ``torchrun`` every process must make this call; together they do what one does alone, each on its
    slice of every batch, and the first writes the files.

    Parameters
    ----------
    configs
        What to train; all see the same batches.
    data
        A store, or two paired matrices; a joined store, or more aligned matrices, for learners that take more
        modalities than two.
    config
        How to train.
    held_out
        Pairs to evaluate on beside those trained on.
    out
        Folder for ``log.jsonl``, checkpoints and, at the end, the models (in the folder itself if there is
        one configuration, else in ``model-0``, ``model-1``, ...). A run that was stopped goes on from its last
        checkpoint and ends with the same bits. SIGTERM and Ctrl-C make a checkpoint and end the process: with code
        143, and as a ``KeyboardInterrupt`` (code 130 on the command line).
        Of a finished run the last checkpoint stays and at most
        :data:`~modalens.features.checkpoints.KEPT_CHECKPOINTS` before it, evenly spaced.
    trackers
        ``tensorboard`` (which writes into the folder) and ``wandb`` take the log too.

    Raises
    ------
    ModalensError
        If widths differ, a value is NaN, a checkpoint is damaged or another run's, another process trains
        into the folder, or a loss is no longer finite; the last good checkpoint is kept.
    """
    config = config or TrainConfig()
    if not configs:
        raise ModalensError("There is nothing to train: give at least one configuration.")
    image, text, others = _sides(data)
    if others and not all(kind_of(each).learner_class.takes_several for each in configs):
        names = [name for name in kinds() if kind_named(name).learner_class.takes_several]
        raise ModalensError(f"Of more than two modalities only these can be trained: {', '.join(names)}.")
    sets = {"train": data} if held_out is None else {"train": data, "held_out": held_out}
    samples = {name: _sample(of, config) for name, of in sets.items()}
    for name, sample in samples.items():
        for each in configs:
            if each.d != sample.image.shape[1]:
                raise ModalensError(
                    f"The configuration is for width {each.d}, the {name} pairs have width {sample.image.shape[1]}."
                )
    with distributed.joined():
        rank, world_size = distributed.rank(), distributed.world_size()
        batches = PairBatches(
            image,
            text,
            config.batch_size,
            config.seed,
            others=others,
            rank=rank,
            world_size=world_size,
        )
        learners = [kind_of(each).learner_class.for_data(each, image, text, *others) for each in configs]
        folder = None if out is None else Path(out)
        with nullcontext() if folder is None or rank > 0 else alone_in(folder, "training into"):
            return _Training(learners, batches, samples, config, folder, trackers).run()


def models_along_training(folder: str | Path) -> Iterator[tuple[int, FeatureModel]]:
    """The model as it was at every checkpoint of a training run, with its step, earliest first.

    Raises
    ------
    ModalensError
        If a checkpoint is damaged or holds several models.
    """
    for step in steps_kept(Path(folder)):
        name, values, state = read_learner(checkpoint_file(Path(folder), step))
        kind = kind_of_values(values) if name is None else kind_named(name)
        learner: Learner = kind.learner_class(kind.config_class(**values))
        learner.load_state_dict(state)
        yield step, learner.export()


class _Training:
    def __init__(
        self,
        learners: Sequence[Learner],
        batches: PairBatches,
        samples: dict[str, Sample],
        config: TrainConfig,
        folder: Path | None,
        trackers: Sequence[str],
    ) -> None:
        self.config, self.batches, self.samples, self.folder = config, batches, samples, folder
        self.first = distributed.rank() == 0
        self.device = pick_device(config.device)
        self.kinds = [kind_of(learner.config) for learner in learners]
        self.rates = config.rates([learner.config for learner in learners])
        self.learners = [learner.to(self.device) for learner in learners]
        for learner in self.learners:
            learner.initialise(*(side.to(self.device) for side in samples["train"].sides.values()))
        self.optimisers = [
            torch.optim.AdamW(learner.parameters(), rate, weight_decay=config.weight_decay, fused=True)
            for learner, rate in zip(self.learners, self.rates, strict=True)
        ]
        self.identity = {
            "configuration": [asdict(learner.config) for learner in learners],
            "training": config.inputs([learner.config for learner in learners]),
            "data": {"pairs": batches.n, "sample_sha256": samples["train"].sha256()},
        }
        self.step = 0
        self.losses = MeanLosses(len(learners))
        self.watch = LossWatch(
            self.device, "nothing was kept" if folder is None else f"checkpoints in {folder} are kept"
        )
        opened = open_trackers(trackers, folder, self.identity) if self.first else []
        self.log = TrainingLog(folder if self.first else None, opened)

    def run(self) -> list[Trained]:
        """Train to the end."""
        self._resume()
        try:
            self._train()
        finally:
            self.log.close()
        return self._finish()

    def _train(self) -> None:
        if not any(trains(learner) for learner in self.learners):
            self._evaluate()
            return
        stream = self.batches.from_step(self.step)
        with self._progress() as advance, termination() as stopped:
            advance(self.step)
            while self.step < self.config.steps:
                stop, done = distributed.any_process(stopped.is_set(), self._settled())
                if stop:
                    self._checkpoint()
                    if self.first:
                        kept = "nothing is kept, as no folder was named"
                        if self.folder is not None:
                            kept = f"a checkpoint is in {self.folder}; run the same again to go on from it"
                        logger.warning("Stopped by %s after %d steps; %s", stopped.name, self.step, kept)
                    stopped.end()
                if done:
                    logger.info("Active features have settled after %d steps", self.step)
                    break
                self._step(*(side.to(self.device) for side in next(stream)))
                self.step += 1
                advance(1)
                if self.step % self.config.log_every == 0 or self.step == self.config.steps:
                    self._evaluate()
                if self.step % self.config.checkpoint_every == 0:
                    self._checkpoint()

    def _step(self, *sides: Tensor) -> None:
        for number, (learner, optimiser) in enumerate(zip(self.learners, self.optimisers, strict=True)):
            if not trains(learner):
                self.losses.add(number, {})
                continue
            for group in optimiser.param_groups:
                group["lr"] = self.config.rate(self.step, self.rates[number])
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
                loss = learner.loss(*sides)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss.total)
            distributed.average_gradients(learner.parameters())
            learner.before_step()
            norm = torch.nn.utils.clip_grad_norm_(learner.parameters(), self.config.clip)
            optimiser.step()
            learner.after_step()
            self.watch.see(self.step, number, loss.total, norm)
            self.losses.add(number, loss.parts)

    def _evaluate(self) -> None:
        self.watch.check()
        for number, (learner, losses) in enumerate(zip(self.learners, self.losses.take(), strict=True)):
            entry: Entry = {"step": self.step, "pairs_seen": self.step * self.batches.batch_size}
            entry |= {"learner": number, "loss": losses}
            for name, sample in self.samples.items():
                entry[name] = evaluate(learner, sample, self.device)
            self.log.add(entry)

    def _settled(self) -> bool:
        if self.config.patience == 0:
            return False
        logs = [self.log.of_learner(number) for number in range(len(self.learners))]
        counts = [[(e["train"]["active_image"], e["train"]["active_text"]) for e in log] for log in logs]
        return all(settled(each, self.config.patience, self.config.tolerance) for each in counts)

    def _checkpoint(self) -> None:
        self.watch.check()
        losses = self.losses.state()
        if self.folder is not None and self.first:
            kinds = [kind.name for kind in self.kinds]
            header = {
                **self.identity,
                "kinds": kinds,
                "step": self.step,
                "log": self.log.entries,
                "losses": losses,
            }
            save_checkpoint(
                checkpoint_file(self.folder, self.step),
                self.learners,
                self.optimisers,
                {**header, "modalens": __version__},
            )
        distributed.wait()

    def _resume(self) -> None:
        found = None if self.folder is None else latest_step(self.folder)
        step = distributed.from_first(-1 if found is None else found)
        if self.folder is None or step < 0:
            return
        path = checkpoint_file(self.folder, step)
        header = load_checkpoint(path, self.learners, self.optimisers, self.identity)
        self.step = header["step"]
        self.log.restore(header["log"])
        self.losses.restore(header["losses"])
        logger.info("Going on from %s", path)

    def _finish(self) -> list[Trained]:
        for learner in self.learners:
            learner.finish(*self.batches.matrices)
        trained = [
            Trained(learner.export(), self.log.of_learner(number))
            for number, learner in enumerate(self.learners)
        ]
        if self.folder is not None and self.first:
            for number, each in enumerate(trained):
                each.model.save(self.folder if len(trained) == 1 else self.folder / f"model-{number}")
            thin_checkpoints(self.folder, self.config.checkpoint_every, self.step)
        distributed.wait()
        return trained

    @contextmanager
    def _progress(self) -> Iterator[Callable[[int], None]]:
        if not self.first:
            yield _ignore
            return
        with progress_bar("Training", self.config.steps) as advance:
            yield advance


def _ignore(steps: int) -> None:
    del steps


def trains(learner: Learner) -> bool:
    """Whether anything is left to train; some learners are fitted when they are made."""
    return any(parameter.requires_grad for parameter in learner.parameters())


def pair_width(data: PairData) -> int:
    """Width of paired data."""
    image, text, _ = _sides(data)
    return paired_shape(image, text)[1]


def _sides(data: PairData) -> tuple[Matrix, Matrix, list[Matrix]]:
    """The first two modalities, and the others."""
    if isinstance(data, EmbeddingStore):
        return data.image, data.text, []
    image, text, *others = data.matrices if isinstance(data, JoinedStore) else data
    return image, text, others


def _sample(data: PairData, config: TrainConfig) -> Sample:
    image, text, others = _sides(data)
    return Sample.draw(image, text, config.evaluation_pairs, config.seed, others)
