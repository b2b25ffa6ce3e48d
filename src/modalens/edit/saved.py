"""An edit that is kept in a folder and applied elsewhere: to embeddings, or inside a tower."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from modalens.edit.operations import check_indices
from modalens.errors import InputError
from modalens.features import FeatureModel, load_features
from modalens.store.documents import read_document, write_document

_FILE, _DICTIONARY = "edit.json", "dictionary"
_KIND, _SCHEMA_VERSION = "modalens edit", 1


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
    """

    indices: tuple[int, ...]
    gain: float = 0.0
    model: FeatureModel | None = None
    modality: str | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.gain):
            raise InputError(f"The gain of an edit must be a number, not {self.gain!r}.")
        if self.model is not None:
            dictionary: Any = self.model
            if not (dictionary.has_decoder and hasattr(dictionary, "standardiser")):
                raise InputError("An edit needs features with a decoder, such as an autoencoder's.")
            check_indices(list(self.indices), len(dictionary.W_dec))

    def apply(self, x: Any) -> Any:
        """The edited embeddings (..., d), of the kind that came in; gradients flow through tensors.

        Raises
        ------
        ModalensError
            If an index is out of range or the width does not fit.
        """
        import torch

        is_tensor = isinstance(x, torch.Tensor)
        given = x if is_tensor else torch.from_numpy(np.array(x, dtype=np.float32))
        chosen = check_indices(list(self.indices), int(given.shape[-1])) if self.model is None else None
        if chosen is not None:
            gains = torch.ones(given.shape[-1], dtype=given.dtype, device=given.device)
            gains[torch.from_numpy(chosen)] = self.gain
            edited = given * gains
        else:
            edited = given + self._change(given.reshape(-1, given.shape[-1])).reshape(given.shape).to(given)
        return edited if is_tensor else edited.numpy()

    def hook(self) -> Callable[..., Any]:
        """What ``register_forward_hook`` of a PyTorch module takes whose output is the embedding."""

        def edited(module: Any, inputs: Any, output: Any) -> Any:
            del module, inputs
            return self.apply(output)

        return edited

    def save(self, folder: str | Path) -> Path:
        """Write the edit and its dictionary: JSON and safetensors, nothing that runs code."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.model is not None:
            self.model.save(folder / _DICTIONARY)
        values = {
            "indices": list(self.indices),
            "gain": self.gain,
            "modality": self.modality,
            "dictionary": self.model is not None,
        }
        write_document(folder / _FILE, _KIND, _SCHEMA_VERSION, values)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The edit that :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If it is missing or damaged.
        """
        folder = Path(folder)
        found = read_document(folder / _FILE, _KIND, _SCHEMA_VERSION)
        try:
            model = load_features(folder / _DICTIONARY) if found["dictionary"] else None
            indices = tuple(int(each) for each in found["indices"])
            return cls(indices, float(found["gain"]), model, found["modality"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder / _FILE} holds no edit; save it again.") from error

    def _change(self, rows: Any) -> Any:
        model: Any = self.model
        scale = model.standardiser(self.modality)[1]
        codes = model.encode_tensor(rows.to(scale), self.modality)
        chosen = list(self.indices)
        return (self.gain - 1) * (codes[:, chosen] @ model.W_dec[chosen]) * scale
