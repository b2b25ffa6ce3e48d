"""An edit that is kept in a file and applied elsewhere: to embeddings, or inside a tower."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from os import fstat
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import save_file

from modalens.dominance import Dominance
from modalens.edit.operations import check_indices
from modalens.errors import InputError, ModalensError, StoreError
from modalens.features import FeatureModel
from modalens.features.loading import features_of
from modalens.features.tensor_files import read_safetensors
from modalens.files import NotPlainError, open_file, parse_json
from modalens.store.atomic import whole_file
from modalens.store.documents import checked, stamped

MAX_BYTES = 2**33
"""Size of the largest file that is read as an edit: a dictionary of 1,000,000 features of 1,024 numbers."""
_HEADER, _DICTIONARY = "modalens", "dictionary."
_KIND, _SCHEMA_VERSION = "modalens edit", 2


@dataclass(frozen=True, eq=False)
class Edit:
    """Weaken, remove or strengthen some features of embeddings, and leave all else as it is.

    x' = x + (g - 1) sum_j z_j w_j over the chosen features j, with codes z and decoder rows w in the space of x;
    through the embedding's own dimensions x'_j = g x_j. What the dictionary does not reconstruct stays.

    Attributes
    ----------
    indices
        The features.
    gain
        g: 0 removes them, 1 changes nothing, 2 doubles them.
    model
        An autoencoder with a decoder; None for the embedding's own dimensions.
    modality
        Which side the embeddings are of, where each is standardised on its own.
    label
        What was chosen, for people.
    """

    indices: tuple[int, ...]
    gain: float = 0.0
    model: FeatureModel | None = None
    modality: str | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if not np.isfinite(self.gain):
            raise InputError(f"The gain of an edit must be a number, not {self.gain!r}.")
        if not (self.modality is None or isinstance(self.modality, str)):
            raise InputError(f"The modality of an edit is a name or none, not {self.modality!r}.")
        if self.model is not None:
            if not self.model.has_decoder:
                raise InputError("An edit needs features with a decoder, such as an autoencoder's.")
            check_indices(list(self.indices), len(self.model.W_dec))

    def apply(self, x: Any) -> Any:
        """The edited embeddings (..., d), of the kind that came in; gradients flow through tensors.

        Raises
        ------
        ModalensError
            If they are no embeddings, an index is out of range or the width does not fit.
        """
        is_tensor = isinstance(x, torch.Tensor)
        given = x if is_tensor else _tensor_of(x)
        if given.ndim == 0 or not given.is_floating_point() or given.layout != torch.strided:
            raise InputError(f"An edit takes embeddings (..., d) of dense floats, not {_in_words(given)}.")
        if self.model is None:
            chosen = check_indices(list(self.indices), int(given.shape[-1]))
            gains = torch.ones(given.shape[-1], dtype=given.dtype, device=given.device)
            gains[torch.from_numpy(chosen)] = self.gain
            edited = given * gains
        else:
            rows = given.reshape(-1, given.shape[-1])
            edited = given + self._change(self.model, rows).reshape(given.shape).to(given)
        return edited if is_tensor else edited.numpy()

    def hook(self) -> Callable[..., Any]:
        """What ``register_forward_hook`` of a PyTorch module takes whose output is the embedding."""

        def edited(module: Any, inputs: Any, output: Any) -> Any:
            del module, inputs
            if not isinstance(output, torch.Tensor):
                raise InputError(
                    f"The hook is for a module that gives embeddings, not {type(output).__name__}."
                )
            return self.apply(output)

        return edited

    def save(self, path: str | Path) -> Path:
        """Write the edit and its dictionary to one safetensors file, which holds nothing that runs code.

        Its header has the key ``modalens`` with what the edit is, as JSON; the tensors are the chosen ``indices`` and
        the dictionary's weights, each under ``dictionary.NAME``.

        Returns
        -------
        Path
            The file.
        """
        path = Path(path)
        values = {
            "gain": self.gain,
            "modality": self.modality,
            "label": self.label,
            "dictionary": None if self.model is None else self.model.config_document(),
        }
        tensors = {"indices": torch.tensor(self.indices, dtype=torch.int64)}
        weights = {} if self.model is None else self.model.state()
        tensors |= {f"{_DICTIONARY}{name}": value.cpu() for name, value in weights.items()}
        values["sha256"] = _sum_of(values, self.indices)
        header = {_HEADER: json.dumps(stamped(_KIND, _SCHEMA_VERSION, values))}
        with whole_file(path) as partial:
            save_file(tensors, partial, metadata=header)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The edit that :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If the file is missing, damaged, no edit, or larger than 8 GiB.
        """
        path = Path(path)
        subject, mend = f"The edit {path}", "save it again"
        with open_file(path, subject, error=StoreError) as file:
            if fstat(file.fileno()).st_size > MAX_BYTES:
                raise StoreError(f"{subject} is too large: more than {MAX_BYTES:,} bytes.")
        tensors, header = read_safetensors(path, subject, mend)
        try:
            found = checked(
                parse_json(header.get(_HEADER, "{}").encode(), dict), _KIND, _SCHEMA_VERSION, path
            )
            named = {
                name.removeprefix(_DICTIONARY): value
                for name, value in tensors.items()
                if name.startswith(_DICTIONARY)
            }
            document = found["dictionary"]
            model = None if document is None else features_of(document, lambda _: named, str(path))
            indices = tuple(check_indices(tensors["indices"].numpy(), 2**31).tolist())
            edit = cls(indices, float(found["gain"]), model, found["modality"], str(found["label"]))
            if found["schema_version"] > 1 and found["sha256"] != _sum_of(
                found, indices
            ):  # version 1 had none
                raise ValueError("its checksum differs")
            return edit
        except NotPlainError as error:
            raise StoreError(f"{subject} has a header that {error}; {mend}.") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if str(path) in str(error):
                raise
            said = str(error).rstrip(".") if isinstance(error, ModalensError) else repr(error)
            raise StoreError(f"{subject} is damaged ({said}); {mend}.") from error

    @classmethod
    def of_class(
        cls,
        dominance: Dominance,
        name: str,
        gain: float = 0.0,
        model: FeatureModel | None = None,
        modality: str | None = None,
    ) -> Self:
        """Weaken, remove or strengthen every feature of one class; :meth:`modalens.Run.edit` takes them from a run.

        Parameters
        ----------
        dominance
            The scores of the features, with the class rule to go by.
        name
            The class: a modality, ``cross`` or ``dead``.
        gain, model, modality
            As for the edit itself.

        Raises
        ------
        ModalensError
            If there is no such class, or the scores are of other features than the model's.
        """
        width = None if model is None else model.config.n_features
        if width not in (None, len(dominance.score)):
            raise InputError(f"The scores are of {len(dominance.score)} features and the model has {width}.")
        indices = tuple(dominance.indices(name).tolist())
        return cls(indices, gain, model, modality, f"{name} ({dominance.rule})")

    def _change(self, model: FeatureModel, rows: torch.Tensor) -> torch.Tensor:
        scale = model.standardiser(self.modality)[1]
        codes = model.encode_tensor(rows.to(scale), self.modality)
        chosen = list(self.indices)
        return (self.gain - 1) * (codes[:, chosen] @ model.directions(self.modality)[chosen]) * scale


def _sum_of(values: Mapping[str, Any], indices: tuple[int, ...]) -> str:
    """A checksum of what a file says of an edit; the weights have their own, which is among the values."""
    said = {name: values[name] for name in ("gain", "modality", "label", "dictionary")}
    chosen = sorted({int(each) for each in indices})
    return sha256(json.dumps([said, chosen], sort_keys=True).encode()).hexdigest()


def _tensor_of(x: Any) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(x, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"An edit takes embeddings (..., d), an array or a tensor, not {type(x).__name__}."
        ) from error


def _in_words(x: torch.Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}, {x.layout}".replace(
        "torch.", ""
    )
