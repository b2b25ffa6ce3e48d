"""Dictionaries of other libraries as they are used."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from modalens.arrays import Matrix
from modalens.features.foreign.config import ImportedConfig
from modalens.features.linear import LinearFeatures, check_shapes
from modalens.features.strongest import strongest

_TINY = 1e-5  # as every library with layer_norm has it


class ImportedEncoder(LinearFeatures):
    """A dictionary of another library without a way back, since it scales each sample first.

    z = select(relu(W_enc (scale(x) - b_in) + b_enc)) for both modalities.

    Attributes
    ----------
    W_enc
        (f, d), float32.
    b_enc, b_in
        (f,) and (d,): what is added to the activations, and taken from the input.
    threshold
        (f,): what an activation must exceed for its feature to be active; not read where k are.
    """

    document = "modalens imported dictionary"
    weights_name = "dictionary.safetensors"
    hub_tag = "sparse-autoencoder"
    config: ImportedConfig

    def __init__(self, config: ImportedConfig, tensors: dict[str, Tensor]) -> None:
        d, f = config.d, config.n_features
        shapes = {
            "W_enc": (f, d),
            "W_dec": (f, d),
            "b_enc": (f,),
            "b_in": (d,),
            "b_dec": (d,),
            "threshold": (f,),
        }
        check_shapes(tensors, shapes)
        self.config = config
        self._tensors = {  # each its own memory, also where theirs was tied
            name: tensors[name].detach().float().cpu().clone(memory_format=torch.contiguous_format)
            for name in shapes
        }

    @classmethod
    def describe(cls, card: Mapping[str, Any]) -> str:
        """What a card speaks of, in words that begin a sentence."""
        how = f"k = {card['k']}" if card["select"] == "topk" else "a threshold for each feature"
        scaled = "" if card["scaling"] == "none" else f", each sample scaled first ({card['scaling']})"
        return f"A dictionary that {card['library']} trained ({card['architecture']}), with {how}{scaled}"

    @property
    def b_in(self) -> Float[Tensor, " d"]:
        """What is taken from the input."""
        return self._tensors["b_in"]

    @property
    def threshold(self) -> Float[Tensor, " f"]:
        """What activations must exceed."""
        return self._tensors["threshold"]

    def encode_tensor(self, x: Float[Tensor, "n d"], modality: str | None = None) -> Float[Tensor, "n f"]:
        """Dense codes of a tensor on the dictionary's device, with gradients through the active features.

        Raises
        ------
        ModalensError
            If the width does not fit.
        """
        del modality  # one set of weights for all
        activations = self._activations(self._rows(x))
        if self.config.k is None:
            return activations * self._over(activations)
        kept = torch.topk(activations, self.config.k, dim=1)
        return torch.zeros_like(activations).scatter(1, kept.indices, kept.values.relu())

    def _activations(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        return functional.linear(self._scaled(rows) - self.b_in, self.W_enc, self.b_enc)

    def _scaled(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        if self.config.scaling == "layer_norm":
            centred = rows - rows.mean(dim=1, keepdim=True)
            rows = centred / (centred.std(dim=1, keepdim=True) + _TINY)
        if self.config.scaling == "constant_norm":
            norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
            rows = rows * (float(self.config.d) ** 0.5 / norms)
        return rows

    def _over(self, activations: Float[Tensor, "n f"]) -> Tensor:
        return activations > self.threshold.clamp(min=0)

    def _sparse_codes(self, rows: Float[Tensor, "n d"], modality: str | None) -> sp.csr_array:
        if self.device.type == "cpu" and self.config.k is not None:
            return strongest(self._activations(rows).numpy(), self.config.k)
        return super()._sparse_codes(rows, modality)


class ImportedSAE(ImportedEncoder):
    """A dictionary of another library.

    z = select(relu(W_enc (x - b_in) + b_enc)), x_hat = W_dec^T z + b_dec, for both modalities.

    Attributes
    ----------
    W_dec
        (f, d), float32; rows have the norm they have there.
    b_dec
        (d,).
    """

    has_decoder = True

    @property
    def W_dec(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Decoder rows: the direction of each feature."""
        return self._tensors["W_dec"]

    @property
    def b_dec(self) -> Float[Tensor, " d"]:
        """What is added to the output."""
        return self._tensors["b_dec"]

    def decode(self, codes: Matrix, modality: str | None = None) -> Float[np.ndarray, "n d"]:
        """Reconstruct embeddings (n, d) from codes (n, f).

        Raises
        ------
        ModalensError
            If the width does not fit.
        """
        del modality
        decoded: np.ndarray = self._combined(codes) + self.b_dec.cpu().numpy()
        return decoded
