"""Load a pipeline of diffusers, from the hub or from a folder."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from modalens.errors import MissingPackageError, ModalensError
from modalens.towers.compute import pick_device
from modalens.towers.hub import find_model
from modalens.towers.quiet import quiet
from modalens.towers.reading import readable
from modalens.towers.torchvision_check import check_torchvision

_INDEX = "model_index.json"
# A pipeline's parts lie in folders of their own; other copies of the weights, such as fp16's, are left out.
_PARTS = [
    _INDEX,
    "*/*.json",
    "*/merges.txt",
    "*/model.safetensors",
    "*/model-*.safetensors",
    "*/diffusion_pytorch_model.safetensors",
    "*/diffusion_pytorch_model-0*.safetensors",
]


def load_pipeline(
    name: str, pipeline_class: str, *, revision: str | None = None, device: str | None = None
) -> tuple[Any, dict[str, Any]]:
    """Load a pipeline in float32 on the CPU and in float16 on a GPU.

    Parameters
    ----------
    name
        Hub id, or a folder as ``save_pretrained`` writes it, for which no network is touched.
    pipeline_class
        The class of diffusers that it must be of.
    revision
        Branch, tag or commit of a hub id.
    device
        PyTorch's name of a device; by default the GPU if there is one, else the CPU.

    Returns
    -------
    pipeline
        Without gradients and without progress bars.
    origin
        What the card says about where the weights come from.

    Raises
    ------
    ModalensError
        If diffusers is missing, or there is no such pipeline or it cannot be fetched or read.
    """
    check_torchvision()
    chosen = pick_device(device)
    diffusers = require_diffusers(name)
    found = find_model(name, revision, further=_PARTS)
    folder = found.path
    _require_class(name, folder, pipeline_class)
    with quiet(), quiet("diffusers"), readable(name, "pipeline"):
        pipeline = getattr(diffusers, pipeline_class).from_pretrained(
            folder, use_safetensors=True, local_files_only=True
        )
        pipeline = pipeline.to(chosen, torch.float16 if chosen.type == "cuda" else torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, found.origin(folder.glob("*/*.safetensors"))


def require_diffusers(name: str) -> Any:
    """The package that a pipeline of a name needs.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    try:
        return import_module("diffusers")
    except ImportError as error:
        raise MissingPackageError.of(name, "diffusers", "text-to-image") from error


def _require_class(name: str, folder: Path, pipeline_class: str) -> None:
    if not (folder / _INDEX).is_file():
        raise ModalensError(f"{name} has no {_INDEX}, so it is no pipeline of diffusers.")
    with readable(name, _INDEX):
        found = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["_class_name"]
    if found != pipeline_class:
        raise ModalensError(f"{name} is a {found}, not a {pipeline_class}; name one of those.")
