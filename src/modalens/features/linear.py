"""What sparse dictionaries have in common: matrices that encode and decode, kept by name."""

from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modalens.arrays import Matrix, iter_blocks, matrix_shape
from modalens.errors import ModalensError
from modalens.features.base import FeatureModel

_BLOCK_ROWS = 2048


class LinearFeatures(FeatureModel):
    """Features whose weights are a few tensors by name, among them those of a linear encoder.

    Attributes
    ----------
    W_enc, W_dec
        (f, d) each; decoder rows of those that have a decoder.
    b_enc
        (f,).
    """

    _tensors: dict[str, Tensor]

    @property
    def W_enc(self) -> Float[Tensor, "f d"]:  # noqa: N802 (the field's name)
        """Encoder rows."""
        return self._tensors["W_enc"]

    @property
    def b_enc(self) -> Float[Tensor, " f"]:
        """Encoder bias."""
        return self._tensors["b_enc"]

    def state(self) -> dict[str, Tensor]:
        """The weights, by name."""
        return dict(self._tensors)

    def to(self, device: str | torch.device) -> Self:
        """Move the weights to a device; gives the features themselves."""
        self._tensors = {name: tensor.to(device) for name, tensor in self._tensors.items()}
        return self

    def _combined(self, codes: Matrix) -> Float[np.ndarray, "n d"]:
        """Sums of decoder rows, each as often as its code says.

        Raises
        ------
        ModalensError
            If there are codes of another number of features.
        """
        _, f = matrix_shape(codes, "The code matrix")
        if f != self.config.n_features:
            raise ModalensError(f"The codes have {f} features, the dictionary {self.config.n_features}.")
        decoder = self._tensors["W_dec"].cpu().numpy()
        parts = [block.astype(np.float32) @ decoder for _, block in iter_blocks(codes, _BLOCK_ROWS, "code")]
        combined: Float[np.ndarray, "n d"] = np.concatenate(parts)
        return combined


def check_shapes(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that are missing or of another shape than a configuration asks for.

    Raises
    ------
    ModalensError
        If there are any.
    """
    for name, shape in shapes.items():
        found = tuple(tensors[name].shape) if name in tensors else "nothing"
        if found != shape:
            raise ModalensError(f"The weights hold {found} as {name}, the configuration asks for {shape}.")
