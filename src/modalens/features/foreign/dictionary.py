"""What every reader gives: the weights and the equation of a dictionary, whichever library names them how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modalens.errors import InputError
from modalens.features.foreign.config import ENCODER, IMPORTED, ImportedConfig
from modalens.features.foreign.model import ImportedEncoder, ImportedSAE


@dataclass(frozen=True)
class Dictionary:
    """A dictionary as a reader found it.

    z = select(relu(W_enc (scale(x) - b_in) + b_enc)), x_hat = W_dec^T z + b_dec.

    Attributes
    ----------
    library, architecture
        Who wrote it, and what it is called there.
    W_enc, W_dec
        (f, d) each.
    b_enc, b_dec, b_in
        (f,), (d,) and (d,); zeros where there is none.
    k
        Active features of a sample; None where a threshold says which are.
    threshold
        What an activation must exceed, one for all or one a feature; 0 for ReLU.
    scaling
        See :class:`ImportedConfig`.
    """

    library: str
    architecture: str
    W_enc: Tensor
    W_dec: Tensor
    b_enc: Tensor | None = None
    b_dec: Tensor | None = None
    b_in: Tensor | None = None
    k: int | None = None
    threshold: Tensor | float = 0.0
    scaling: str = "none"

    def model(self, where: str) -> ImportedEncoder:
        """The features, once their shapes fit each other and all numbers are finite.

        Parameters
        ----------
        where
            The file, for a sentence.

        Raises
        ------
        InputError
            If they do not.
        """
        f, d = self._shape(where)
        given = {
            "W_enc": self.W_enc,
            "W_dec": self.W_dec,
            "b_enc": torch.zeros(f) if self.b_enc is None else self.b_enc,
            "b_dec": torch.zeros(d) if self.b_dec is None else self.b_dec,
            "b_in": torch.zeros(d) if self.b_in is None else self.b_in,
            "threshold": torch.as_tensor(self.threshold).float().reshape(-1).expand(f)
            if torch.as_tensor(self.threshold).numel() == 1
            else torch.as_tensor(self.threshold),
        }
        shapes = {"W_enc": (f, d), "W_dec": (f, d), "b_enc": (f,), "b_dec": (d,), "b_in": (d,)}
        for name, tensor in given.items():
            wanted = shapes.get(name, (f,))
            if tuple(tensor.shape) != wanted:
                raise InputError(
                    f"{where} does not hold a dictionary of {f} features of width {d}: its {name} is of shape "
                    f"{tuple(tensor.shape)}, not {wanted}."
                )
            if not (tensor.is_floating_point() and bool(torch.isfinite(tensor).all())):
                raise InputError(f"{where} holds numbers as {name} that are not finite, or whole numbers.")
        scaled = self.scaling != "none"
        config = ImportedConfig(
            d=d,
            n_features=f,
            library=self.library,
            architecture=self.architecture,
            select="threshold" if self.k is None else "topk",
            k=self.k,
            scaling=self.scaling,
            kind=ENCODER if scaled else IMPORTED,
        )
        return (ImportedEncoder if scaled else ImportedSAE)(config, given)

    def _shape(self, where: str) -> tuple[int, int]:
        shape = tuple(self.W_enc.shape)
        if len(shape) != 2 or 0 in shape:
            raise InputError(f"{where} holds an encoder of shape {shape}; it must be a matrix.")
        return shape


def gated(
    W_enc: Tensor,  # noqa: N803 (the field's name)
    r_mag: Tensor,
    b_gate: Tensor,
    b_mag: Tensor,
) -> dict[str, Any]:
    """The gated encoder as one with thresholds (Rajamanoharan et al. 2024, arXiv 2404.16014, appendix on JumpReLU).

    A feature is open where u + b_gate > 0 and has then the value relu(exp(r_mag) u + b_mag), with u = W_enc x; so its
    activation exceeds b_mag - exp(r_mag) b_gate.
    """
    scale = r_mag.float().exp()
    return {
        "W_enc": W_enc.float() * scale[:, None],
        "b_enc": b_mag.float(),
        "threshold": b_mag.float() - scale * b_gate.float(),
    }


def norms_folded(
    W_enc: Tensor,  # noqa: N803
    b_enc: Tensor,
    W_dec: Tensor,  # noqa: N803
) -> dict[str, Tensor]:
    """The same dictionary with decoder rows of norm 1, whose codes are longer by what the rows are shorter."""
    norms = torch.linalg.vector_norm(W_dec.float(), dim=1).clamp(min=1e-8)
    return {
        "W_enc": W_enc.float() * norms[:, None],
        "b_enc": b_enc.float() * norms,
        "W_dec": W_dec.float() / norms[:, None],
    }


def chosen(values: Mapping[str, Any], where: str, key: str, known: Mapping[str, str], library: str) -> str:
    """What a configuration says by a key, if it is among what can be read; ``known`` has our names of theirs.

    Raises
    ------
    InputError
        If it is not.
    """
    said = values.get(key)
    if not isinstance(said, str) or said not in known:
        raise InputError(
            f"{where} says {key} {said!r}; of {library} these are read: {', '.join(sorted(known))}."
        )
    return known[said]


def whole(values: Mapping[str, Any], where: str, key: str) -> int:
    """A positive whole number that a configuration says.

    Raises
    ------
    InputError
        If there is none.
    """
    said = values.get(key)
    if isinstance(said, bool) or not isinstance(said, int) or said < 1:
        raise InputError(f"{where} has no positive whole number {key}: {said!r}.")
    return said


def refused(where: str, library: str, what: str) -> InputError:
    """Why a dictionary of a library is not read."""
    return InputError(f"{where} is a dictionary of {library} that {what}, which is not read.")
