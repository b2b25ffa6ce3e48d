"""overcomplete: the state dictionary of an SAE, and in ``modalens.json`` beside it what the state does not hold.

``{"activation": "topk", "k": 8}``; activations are ``relu``, ``topk``, ``batch_topk`` with a ``threshold`` (the running
threshold) and ``jumprelu``, whose thresholds the state has. ``"dictionary": "identity"`` says that the dictionary was
not normalised; ``l2``, the library's default, is taken otherwise.
"""

from typing import Any

import torch
from torch import Tensor

from modalens.errors import InputError
from modalens.features.foreign.dictionary import Dictionary, chosen, refused, whole
from modalens.features.foreign.opened import MAPPING, Opened

NAME = "overcomplete"
_ATOMS = "dictionary._weights"
_KINDS = {name: name for name in ("relu", "topk", "batch_topk", "jumprelu")}


def recognises(opened: Opened) -> bool:
    """Whether this is its state."""
    return _ATOMS in opened.tensors


def read(opened: Opened) -> Dictionary:
    """The dictionary of a state of overcomplete."""
    said = dict(opened.mapping or {})
    if "activation" not in said and "thresholds" in opened.tensors:
        said["activation"] = "jumprelu"
    if "activation" not in said:
        raise InputError(
            f"{opened.where} is a state of overcomplete, which does not say its activation; write {MAPPING} beside it, "
            'as {"activation": "topk", "k": 8}.'
        )
    where = f"{MAPPING} beside {opened.where}"
    kind = chosen(said, where, "activation", _KINDS, NAME)
    atoms = opened.tensor(_ATOMS).float()
    form = chosen(
        {"dictionary": "l2", **said}, where, "dictionary", {"l2": "l2", "identity": "identity"}, NAME
    )
    if form == "l2":
        atoms = atoms / (torch.linalg.vector_norm(atoms, dim=1, keepdim=True) + 1e-8)
    if (multiplier := opened.tensors.get("dictionary.multiplier")) is not None:
        atoms = atoms * multiplier.float().exp()
    weights: dict[str, Any] = {}
    if kind == "topk":
        weights["k"] = whole(said, where, "k")
    elif kind == "jumprelu":
        weights["threshold"] = opened.tensor("thresholds").float().exp()
    elif kind == "batch_topk":
        weights["threshold"] = _just_under(said.get("threshold"), where)
    encoder, bias = _encoder(opened, atoms)
    return Dictionary(NAME, kind, W_enc=encoder, W_dec=atoms, b_enc=bias, **weights)


def _encoder(opened: Opened, atoms: Tensor) -> tuple[Tensor, Tensor | None]:
    """Weights and bias of the encoder: linear, untied, or the dictionary itself."""
    there = {name for name in opened.tensors if name.startswith("encoder.")}
    if {"encoder.final_block.0.weight", "encoder.final_block.0.bias"} == there:
        return opened.tensor("encoder.final_block.0.weight"), opened.tensor("encoder.final_block.0.bias")
    if there <= {"encoder.weight", "encoder.bias", "encoder.tied_to._weights", "encoder.tied_to.multiplier"}:
        weight = opened.tensors.get("encoder.weight", atoms)
        return weight, opened.tensors.get("encoder.bias")
    raise refused(opened.where, NAME, "has an encoder of several layers")


def _just_under(threshold: Any, where: str) -> Tensor:
    """What activations must exceed where the library asks that they reach the threshold."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise InputError(f"{where} must give the running threshold of batch_topk as a number.")
    return torch.nextafter(torch.tensor(float(threshold)), torch.tensor(-torch.inf))
