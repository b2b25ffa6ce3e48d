"""What training leaves behind to read: JSON lines always, experiment trackers when asked."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor

from modalens.errors import ModalensError
from modalens.features.distributed import average_
from modalens.store.atomic import whole_file

LOG_NAME = "log.jsonl"
# Module and name of each.
_PACKAGES = {
    "tensorboard": ("torch.utils.tensorboard", "TensorBoard"),
    "wandb": ("wandb", "Weights & Biases"),
}
TRACKERS = tuple(_PACKAGES)

# One evaluation of one learner.
Entry = dict[str, Any]


class Tracker(Protocol):
    """An experiment tracker as training sees it."""

    def record(self, values: Mapping[str, float], step: int) -> None:
        """Take the values of one step."""

    def close(self) -> None:
        """Send what is left."""


class TrainingLog:
    """The evaluations of a run, in a file that is whole at any time, and in the trackers.

    Parameters
    ----------
    folder
        Where ``log.jsonl`` goes; None keeps the log in memory alone.
    trackers
        What else takes each new entry.
    """

    def __init__(self, folder: Path | None, trackers: Sequence[Tracker] = ()) -> None:
        self.entries: list[Entry] = []
        self._folder, self._trackers = folder, trackers

    def of_learner(self, number: int) -> list[Entry]:
        """Entries of one learner, oldest first."""
        return [entry for entry in self.entries if entry["learner"] == number]

    def add(self, entry: Entry) -> None:
        """Take a new entry."""
        self.entries.append(entry)
        self._write()
        values = dict(
            scalars({name: part for name, part in entry.items() if name not in ("step", "learner")})
        )
        for tracker in self._trackers:
            tracker.record({f"{entry['learner']}/{name}": v for name, v in values.items()}, entry["step"])

    def restore(self, entries: Sequence[Entry]) -> None:
        """Go back to the entries of a checkpoint."""
        self.entries = list(entries)
        self._write()

    def close(self) -> None:
        """Close the trackers."""
        for tracker in self._trackers:
            tracker.close()

    def _write(self) -> None:
        if self._folder is not None:
            with whole_file(self._folder / LOG_NAME) as partial:
                lines = (json.dumps(entry) + "\n" for entry in self.entries)
                partial.write_text("".join(lines), encoding="utf-8")


class MeanLosses:
    """The parts of each learner's loss, as means over the steps since the last evaluation."""

    def __init__(self, learners: int) -> None:
        self._sums: list[dict[str, Tensor | float]] = [{} for _ in range(learners)]
        self._steps = 0

    def add(self, number: int, parts: Mapping[str, Tensor]) -> None:
        """Take the parts of one step's loss; learners come in order."""
        sums = self._sums[number]
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + part.double()
        self._steps += number == 0

    def take(self) -> list[dict[str, float]]:
        """The means, from which on counting starts anew. A part that a step lacked was 0 there."""
        state = self.state()
        self._sums, self._steps = [{} for _ in self._sums], 0
        return [{name: value / state["steps"] for name, value in sums.items()} for sums in state["sums"]]

    def state(self) -> dict[str, Any]:
        """All that :meth:`restore` needs, in plain numbers, the same in every process."""
        for sums in self._sums:
            for name, value in sums.items():
                sums[name] = float(average_(torch.as_tensor(value, dtype=torch.float64).cpu()))
        return {"sums": [dict(sums) for sums in self._sums], "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self._sums, self._steps = [dict(sums) for sums in state["sums"]], state["steps"]


def scalars(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of nested values, by path; of a value with its interval, the value. What is undefined is left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif value is not None:
            yield f"{prefix}{name}", float(value[0] if isinstance(value, Sequence) else value)


def open_trackers(names: Sequence[str], folder: Path | None, run: Mapping[str, Any]) -> list[Tracker]:
    """Open trackers by name, for a run that is described by ``run``.

    Raises
    ------
    ModalensError
        If there is no such tracker, its package is missing, or the run has no folder.
    """
    trackers: list[Tracker] = []
    for name in names:
        if folder is None:
            raise ModalensError(f"The tracker {name} needs a folder to write to; say with out which one.")
        check_trackers([name])
        trackers.append(_TensorBoard(folder) if name == "tensorboard" else _WeightsAndBiases(folder, run))
    return trackers


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that there are none of, or whose package is missing.

    Raises
    ------
    ModalensError
        If so.
    """
    for name in names:
        if name not in TRACKERS:
            raise ModalensError(f"There is no tracker {name!r}; there are {' and '.join(TRACKERS)}.")
        _package(name)


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        self._writer = _package("tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def record(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        wandb = _package("wandb")
        self._run = wandb.init(project="modalens", name=folder.name, dir=str(folder), config=dict(run))

    def record(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


def _package(tracker: str) -> ModuleType:
    from importlib import import_module

    module, name = _PACKAGES[tracker]
    try:
        return import_module(module)
    except ImportError as error:
        raise ModalensError(f"{name} is not installed; run: pip install 'modalens[trackers]'.") from error
