"""Sparse autoencoders as they are used: encode, decode, save, load. No training state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from modalens.arrays import Matrix
from modalens.errors import ModalensError
from modalens.features.base import MODALITIES
from modalens.features.config import SAEConfig
from modalens.features.linear import LinearFeatures, check_shapes
from modalens.features.step import Codes, Selection, encode, over_threshold, top_k_per_sample
from modalens.features.strongest import strongest
from modalens.features.trainable import Trainable


@dataclass(frozen=True)
class Standardiser:
    """Mean and scale of each modality's embeddings, (2, d) each, images first; zeros and ones for none."""

    mean: Float[Tensor, "2 d"]
    scale: Float[Tensor, "2 d"]


class SparseAutoencoder(LinearFeatures, Trainable):
    """A trained sparse autoencoder: one set of weights for both modalities.

    z = select(relu(W_enc (x - b_pre) + b_enc)), x_hat = W_dec^T z + b_pre, with x standardised first if the
    configuration says so (Beyond Cross-Modal Alignment, section 2; Gao et al. 2024).

    Attributes
    ----------
    W_enc, W_dec
        (f, d) each, float32; decoder rows have unit norm.
    b_enc, b_pre
        (f,) and (d,).
    config
        Shape and loss it was trained with.
    """

    document = "modalens sparse autoencoder"
    weights_name = "sae.safetensors"
    hub_tag = "sparse-autoencoder"
    has_decoder = True
    own_mean: ClassVar[bool] = False
    """Whether the two modalities are centred each on its own, whatever the standardisation."""
    config: SAEConfig

    def __init__(self, config: SAEConfig, tensors: dict[str, Tensor]) -> None:
        check_shapes(tensors, self._shapes(config))
        self.config = config
        self._tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}

    @classmethod
    def _shapes(cls, config: SAEConfig) -> dict[str, tuple[int, ...]]:
        d, f = config.d, config.n_features
        return {
            "W_enc": (f, d),
            "W_dec": (f, d),
            "b_enc": (f,),
            "b_pre": (d,),
            "mean": (2, d),
            "scale": (2, d),
        }

    def __repr__(self) -> str:
        c = self.config
        return f"{type(self).__name__}(d={c.d}, n_features={c.n_features}, k={c.k})"

    @classmethod
    def describe(cls, card: Mapping[str, Any]) -> str:
        """What a card speaks of, in words that begin a sentence."""
        how = card["standardise"]
        given = "" if how == "none" else f", input standardised ({how})"
        return f"{card['class']}: a sparse autoencoder with k = {card['k']}{given}"

    @property
    def W_dec(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Decoder rows: the direction of each feature."""
        return self._tensors["W_dec"]

    @property
    def b_pre(self) -> Float[Tensor, " d"]:
        """What is taken from the input and given back to the output."""
        return self._tensors["b_pre"]

    @property
    def by_modality(self) -> bool:
        """Whether codes depend on which of the two modalities an embedding is of."""
        return self.own_mean or self.config.standardise == "per_modality"

    def standardiser(self, modality: str | None = None) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
        """Mean and scale that embeddings of a modality are standardised by; zeros and ones for none.

        Raises
        ------
        ModalensError
            If each has its own, and this is missing or none of them.
        """
        if self.by_modality:
            if modality is None:
                raise ModalensError(
                    "This autoencoder standardises each modality on its own: say which one this is."
                )
            if modality not in MODALITIES:
                raise ModalensError(
                    f"There is no modality {modality!r}; there are {' and '.join(MODALITIES)}."
                )
        # Any other modality is standardised as these are.
        row = MODALITIES.index(modality) if modality in MODALITIES else 0
        return self._tensors["mean"][row], self._tensors["scale"][row]

    def encode_tensor(self, x: Float[Tensor, "n d"], modality: str | None = None) -> Float[Tensor, "n f"]:
        """Dense codes of a tensor on the autoencoder's device, with gradients through the active features.

        Raises
        ------
        ModalensError
            If the width does not fit, or the modality is missing where it is needed.
        """
        centred = self._centred(self._rows(x), modality)
        activations = functional.relu(functional.linear(centred, self.W_enc, self.b_enc))
        features, offsets = self._select(activations.detach())
        chosen = torch.zeros_like(activations, dtype=torch.bool)
        chosen[Codes(features, features, offsets).rows(), features] = True
        return activations * chosen

    def decode(self, codes: Matrix, modality: str | None = None) -> Float[np.ndarray, "n d"]:
        """Reconstruct embeddings (n, d) from codes (n, f).

        Raises
        ------
        ModalensError
            If the width does not fit or the modality is missing.
        """
        mean, scale = (part.cpu().numpy() for part in self.standardiser(modality))
        decoded: np.ndarray = (self._combined(codes) + self.b_pre.cpu().numpy()) * scale + mean
        return decoded

    @property
    def _select(self) -> Selection:
        return top_k_per_sample(self.config.k)

    def _centred(self, rows: Float[Tensor, "n d"], modality: str | None) -> Float[Tensor, "n d"]:
        mean, scale = self.standardiser(modality)
        return (rows - mean) / scale - self.b_pre

    def _sparse_codes(self, rows: Float[Tensor, "n d"], modality: str | None) -> sp.csr_array:
        mean, scale = self.standardiser(modality)
        centred = rows.sub_(mean).div_(scale).sub_(self.b_pre)
        if self.device.type == "cpu":
            return self._active(torch.addmm(self.b_enc, centred, self.W_enc.T).numpy())
        return self._selected(centred)

    def _selected(self, centred: Float[Tensor, "n d"]) -> sp.csr_array:
        """The codes as PyTorch selects them, on any device."""
        codes, _ = encode(centred, self.W_enc, self.b_enc, self._select)
        parts = tuple(part.cpu().numpy() for part in (codes.values, codes.features, codes.offsets))
        sparse = sp.csr_array(parts, shape=(len(centred), self.config.n_features))
        sparse.eliminate_zeros()  # fewer than k may be positive
        sparse.sort_indices()
        return sparse

    def _active(self, activations: Float32[np.ndarray, "n f"]) -> sp.csr_array:
        """The active features of samples, from what the encoder makes of them."""
        return strongest(activations, self.config.k)


class TopKSAE(SparseAutoencoder):
    """The k strongest features of each sample (Gao et al. 2024; the papers' autoencoder)."""


class MatryoshkaSAE(SparseAutoencoder):
    """A TopK autoencoder whose leading features reconstruct on their own (Bussmann et al. 2025)."""


class AlignedSAE(SparseAutoencoder):
    """A TopK autoencoder trained to keep the codes of a pair alike (Dhimoila et al. 2026)."""


class BatchTopKSAE(SparseAutoencoder):
    """k features a sample on average; in use, those over a threshold learned in training (Bussmann et al. 2024)."""

    @property
    def threshold(self) -> Float[Tensor, ""]:
        """What an activation must exceed for its feature to be active."""
        return self._tensors["threshold"]

    @property
    def _select(self) -> Selection:
        return over_threshold(float(self.threshold))

    def _active(self, activations: Float32[np.ndarray, "n f"]) -> sp.csr_array:
        return sp.csr_array(np.where(activations > max(float(self.threshold), 0.0), activations, 0))
