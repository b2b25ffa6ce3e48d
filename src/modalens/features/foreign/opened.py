"""Files that another library wrote, read within budgets and without running code."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from modalens.errors import InputError
from modalens.features.tensor_files import read_safetensors
from modalens.files import NotPlainError, open_file, parse_json, read_json

MAX_WEIGHT_BYTES = 2**35
"""Largest file of weights."""
_MAX_LINE = 2**20
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
# Where a folder has several files of weights.
_KNOWN = ("sae_weights.safetensors", "sae.safetensors", "ae.pt", "weights.pt", "sae.pt")
MAPPING = "modalens.json"
# Configurations that a library saves as objects beside its tensors: what they hold is read, and none of their code.
_HELD = (
    "vit_prisma.sae.config.VisionModelSAERunnerConfig",
    "vit_prisma.configs.HookedViTConfig.HookedViTConfig",
)
# What a file that is no PyTorch file, or is cut short, is told by.
_DAMAGE = (RuntimeError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError, OSError)


class _Held:
    """Stands for an object of another library; its attributes are what the object held."""


class Opened:
    """A file of weights and the configurations beside it.

    Attributes
    ----------
    weights
        The file of weights.
    where
        The weights, for a sentence.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self._mapping = path if path.suffix == ".json" else None
        self.folder = path if path.is_dir() else path.parent
        self.weights = path if path.is_file() and self._mapping is None else self._only(path)
        self.where = str(self.weights)

    def json(self, name: str) -> dict[str, Any] | None:
        """A configuration beside the weights, or over the folder ``checkpoints`` that they are in; None without."""
        path = self.folder / name
        if not path.is_file() and self.folder.name == "checkpoints":
            path = self.folder.parent / name
        if not path.is_file():
            return None
        found: dict[str, Any] = read_json(path, f"The configuration {path}", dict)
        return found

    @cached_property
    def mapping(self) -> dict[str, Any] | None:
        """What ``modalens.json`` says of the weights; None without."""
        if self._mapping is None:
            return self.json(MAPPING)
        found: dict[str, Any] = read_json(self._mapping, f"The mapping {self._mapping}", dict)
        return found

    @cached_property
    def header(self) -> dict[str, Any] | None:
        """The line of JSON that the weights begin with; None without."""
        with open_file(self.weights, f"The weights file {self.where}") as file:
            if file.read(1) != b"{":
                return None
            file.seek(0)
            line = file.readline(_MAX_LINE)
        try:
            found: dict[str, Any] = parse_json(line, dict)
        except NotPlainError:
            return None
        return found

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """The state dictionary: tensors by name.

        Raises
        ------
        InputError, StoreError
            If the weights are damaged, too large, or anything but tensors by name.
        """
        return _state(self._contents, f"The weights file {self.where}")

    def beside(self, name: str) -> dict[str, Any] | None:
        """What a configuration that was saved in one file with the tensors holds; None without."""
        found = self._contents.get(name) if isinstance(self._contents, Mapping) else None
        return dict(vars(found)) if isinstance(found, _Held) else None

    @cached_property
    def _contents(self) -> Any:
        """Whatever the file holds, of which nothing was run."""
        subject = f"The weights file {self.where}"
        if self.weights.suffix == ".safetensors":
            found, _ = read_safetensors(self.weights, subject, "get the file again")
            return found
        with open_file(self.weights, subject) as file:
            if self.weights.stat().st_size > MAX_WEIGHT_BYTES:
                raise InputError(f"{subject} is too large: more than {MAX_WEIGHT_BYTES:,} bytes.")
            if self.header is None:
                return _loaded(file, subject)
            file.readline(_MAX_LINE)
            return _loaded(io.BytesIO(file.read()), subject)

    def tensor(self, name: str) -> Tensor:
        """A tensor by name.

        Raises
        ------
        InputError
            If there is none.
        """
        if name not in self.tensors:
            some = ", ".join(sorted(self.tensors)[:20])
            raise InputError(f"{self.where} has no tensor {name!r}; it has {some or 'none'}.")
        return self.tensors[name]

    def _only(self, path: Path) -> Path:
        """The file of weights in a folder."""
        if not path.exists():
            raise InputError(f"There is no dictionary at {path}.")
        said = (self.mapping or {}).get("weights")
        if said is not None:
            if not isinstance(said, str) or Path(said).name != said:
                raise InputError(f"The mapping in {self.folder} must name a file beside it as weights.")
            return self.folder / said
        found = sorted(
            each for each in self.folder.iterdir() if each.suffix in WEIGHT_SUFFIXES and each.is_file()
        )
        if len(found) > 1:
            found = [each for each in found if each.name in _KNOWN] or found
        if len(found) != 1:
            names = ", ".join(each.name for each in found[:10]) or "none"
            raise InputError(f"{self.folder} must hold one file of weights and holds {names}; name the file.")
        return found[0]


def _loaded(file: IO[bytes], subject: str) -> Any:
    """What PyTorch saved, of which nothing but numbers is taken."""
    try:
        if zipfile.is_zipfile(file):
            file.seek(0)
            with zipfile.ZipFile(file) as packed:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in packed.infolist()):
                    raise InputError(f"{subject} is compressed, as files of PyTorch are not.")
        file.seek(0)
        with torch.serialization.safe_globals([(_Held, name) for name in _HELD]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{subject} holds objects of Python beside tensors, which are not read since that would run code; save "
            "the state dictionary alone, its configuration as JSON beside it."
        ) from error
    except (*_DAMAGE, zipfile.BadZipFile, MemoryError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{subject} cannot be read as PyTorch wrote it ({said}).") from error


def _state(loaded: Any, subject: str) -> Mapping[str, Tensor]:
    """Tensors by name; what else a state dictionary has is left out."""
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping):
        raise InputError(f"{subject} holds no state dictionary, that is tensors by name.")
    found = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    for name, tensor in found.items():
        plain = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
        if not plain or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise InputError(f"{subject} holds a tensor {name!r} that is not stored in full.")
    return found
