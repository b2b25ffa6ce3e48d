"""saev: one file, a line of JSON and then the state dictionary, as ``saev.nn.dump`` writes it (any schema up to 5).

Its TopK keeps negative activations where fewer than k are positive; codes here are not negative, so these are 0.
"""

from typing import Any

from modalens.errors import InputError
from modalens.features.foreign.dictionary import Dictionary, chosen, whole
from modalens.features.foreign.opened import Opened

NAME = "saev"
_ACTIVATIONS = {"Relu": "relu", "TopK": "topk", "BatchTopK": "batch_topk"}
_SCHEMAS = (None, 1, 2, 3, 4, 5)


def recognises(opened: Opened) -> bool:
    """Whether this is its file."""
    header = opened.header
    return header is not None and ("cfg" in header or "d_vit" in header)


def read(opened: Opened) -> Dictionary:
    """The dictionary of a file of saev."""
    header = opened.header or {}
    where = f"The first line of {opened.where}"
    schema = header.get("schema")
    if schema not in _SCHEMAS:
        raise InputError(f"{where} says schema {schema!r}; of saev those up to {_SCHEMAS[-1]} are read.")
    name, params = ("Relu", {}) if schema is None else _activation(header)
    kind = chosen({"activation": name}, where, "activation", _ACTIVATIONS, NAME)
    weights: dict[str, Any] = {}
    if kind == "batch_topk" and "activation.threshold" in opened.tensors:
        weights["threshold"] = opened.tensor("activation.threshold")
    elif kind != "relu":  # early versions take the k strongest of each sample for both
        weights["k"] = whole(params, where, "top_k")
    bias = opened.tensor("b_dec")
    return Dictionary(
        NAME,
        kind,
        W_enc=opened.tensor("W_enc").T,
        W_dec=opened.tensor("W_dec"),
        b_enc=opened.tensor("b_enc"),
        b_dec=bias,
        b_in=bias if schema is None else None,  # only the first version took it from the input
        **weights,
    )


def _activation(header: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Name and settings of the activation."""
    config = header.get("cfg")
    config = config if isinstance(config, dict) else {}
    if header.get("cls") in _ACTIVATIONS:
        return header["cls"], {"top_k": 32, **config}
    said = config.get("activation")
    said = said if isinstance(said, dict) else {}
    params = said.get("params")
    return said.get("cls"), params if isinstance(params, dict) else {}
