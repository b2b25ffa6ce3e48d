"""Where training stands, as one safetensors file that is whole or absent.

It holds weights, what learners count, and the optimisers' moments; the order of the pairs follows from the
step, and nothing else in training is drawn at random.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modalens.errors import ModalensError, StoreError
from modalens.features.tensor_files import read_safetensors
from modalens.files import NotPlainError, parse_json
from modalens.store.atomic import whole_file
from modalens.store.kept import difference
from modalens.towers.cards import tensors_sha256

_HEADER, _CHECKSUM = "modalens", "contents_sha256"
# What stays of a finished training beside its last checkpoint: enough to draw a curve along training.
KEPT_CHECKPOINTS = 8


def checkpoint_file(folder: Path, step: int) -> Path:
    """The checkpoint after so many steps."""
    return folder / f"checkpoint-{step:09d}.safetensors"


def steps_kept(folder: Path) -> list[int]:
    """Steps of the checkpoints in a folder, rising."""
    names = (re.fullmatch(r"checkpoint-(\d{9,})\.safetensors", path.name) for path in folder.glob("*"))
    return sorted(int(name[1]) for name in names if name)


def latest_step(folder: Path) -> int | None:
    """Step of the newest checkpoint in a folder, or None."""
    return max(steps_kept(folder), default=None)


def steps_to_keep(every: int, last: int) -> set[int]:
    """Steps whose checkpoints outlive a training of ``last`` steps that made one ``every`` so many.

    The last one and at most :data:`KEPT_CHECKPOINTS` before it, evenly spaced. Which ones follows from the
    numbers alone, so a run that was stopped on its way keeps the same as one that was not.
    """
    steps = range(every, last + 1, every)
    count = min(len(steps), KEPT_CHECKPOINTS + 1)
    return {steps[round((place + 1) * len(steps) / count) - 1] for place in range(count)}


def thin_checkpoints(folder: Path, every: int, last: int) -> None:
    """Remove what a finished training needs no longer; see :func:`steps_to_keep`."""
    kept = steps_to_keep(every, last)
    for step in steps_kept(folder):
        if step not in kept:
            checkpoint_file(folder, step).unlink()


def save_checkpoint(
    path: Path,
    learners: Sequence[nn.Module],
    optimisers: Sequence[torch.optim.Optimizer],
    header: dict[str, Any],
) -> None:
    """Write learners and optimisers with a JSON header."""
    tensors: dict[str, Tensor] = {}
    for number, (learner, optimiser) in enumerate(zip(learners, optimisers, strict=True)):
        for name, value in learner.state_dict().items():
            tensors[f"{number}.learner.{name}"] = value.contiguous()
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"{number}.optimiser.{index}.{name}"] = value
    # One text: safetensors keeps several in no certain order.
    text = json.dumps({**header, _CHECKSUM: _sha256(header, tensors)})
    with whole_file(path) as partial:
        save_file(tensors, partial, metadata={_HEADER: text})


def load_checkpoint(
    path: Path,
    learners: Sequence[nn.Module],
    optimisers: Sequence[torch.optim.Optimizer],
    expected: dict[str, Any],
) -> dict[str, Any]:
    """Put learners and optimisers back where a checkpoint left them; gives its header.

    Raises
    ------
    ModalensError
        If it is cut short, or was made with another configuration than ``expected``.
    """
    header, tensors = _read(path)
    for name, value in json.loads(json.dumps(expected)).items():
        if header.get(name) != value:
            raise ModalensError(
                f"The checkpoint {path} was made with another {name} ({difference(header.get(name), value)}); take the "
                f"same options as before to go on from it, or remove {path.parent} to begin anew."
            )
    for number, (learner, optimiser) in enumerate(zip(learners, optimisers, strict=True)):
        learner.load_state_dict(_under(tensors, f"{number}.learner."))
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _under(tensors, f"{number}.optimiser.").items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return header


def read_learner(path: Path) -> tuple[str | None, dict[str, Any], dict[str, Tensor]]:
    """Kind, configuration and state of the only learner of a checkpoint, for one who wants to look at it.

    Checkpoints of earlier versions do not name the kind.

    Raises
    ------
    ModalensError
        If the checkpoint is cut short, or holds several learners.
    """
    header, tensors = _read(path)
    if len(header["configuration"]) != 1:
        raise ModalensError(f"The checkpoint {path} holds {len(header['configuration'])} learners, not one.")
    name = header["kinds"][0] if "kinds" in header else None
    return name, header["configuration"][0], _under(tensors, "0.learner.")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    mend = "remove it to go on from the one before"
    tensors, texts = read_safetensors(path, f"The checkpoint {path}", mend)
    try:
        header: dict[str, Any] = parse_json(texts.get(_HEADER, "").encode("utf-8"), dict)
    except NotPlainError as error:
        raise StoreError(f"The header of the checkpoint {path} {error}; {mend}.") from error
    found = header.pop(_CHECKSUM, None)  # those of earlier versions have none
    if found is not None and found != _sha256(header, tensors):
        raise StoreError(f"The checkpoint {path} is damaged: its checksum differs; {mend}.")
    return header, tensors


def _sha256(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    text = f"{json.dumps(header)}\0{tensors_sha256(tensors)}"
    return hashlib.sha256(text.encode()).hexdigest()


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
