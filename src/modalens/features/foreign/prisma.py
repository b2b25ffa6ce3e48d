"""ViT-Prisma: a checkpoint (``save_model``), or ``config.json`` (``save_config``) and the state dictionary beside it.

A checkpoint holds its configuration as an object. What the object holds is read; the library's code is not needed.
"""

from typing import Any

from modalens.features.foreign.dictionary import Dictionary, chosen, gated, refused, whole
from modalens.features.foreign.opened import Opened

NAME = "vit_prisma"
_LIBRARY = "ViT-Prisma"
_SCALINGS = {
    "layer_norm": "layer_norm",
    "constant_norm_rescale": "constant_norm",
    "none": "none",
    "None": "none",
}


def recognises(opened: Opened) -> bool:
    """Whether these are its files."""
    return _configuration(opened) is not None


def read(opened: Opened) -> Dictionary:
    """The dictionary of ViT-Prisma."""
    config = {"architecture": "standard", **(_configuration(opened) or {})}
    where = f"The configuration of {opened.where}"
    architecture = chosen(config, where, "architecture", {"standard": "standard", "gated": "gated"}, _LIBRARY)
    activation = chosen(config, where, "activation_fn_str", {"relu": "relu", "topk": "topk"}, _LIBRARY)
    if "normalize_activations" in config:
        config["normalize_activations"] = str(config["normalize_activations"])  # None is none
    scaling = chosen(config, where, "normalize_activations", _SCALINGS, _LIBRARY)
    if config.get("is_transcoder"):
        raise refused(opened.where, _LIBRARY, "predicts another layer")
    if architecture == "gated" and activation == "topk":
        raise refused(opened.where, _LIBRARY, "is gated and has topk")
    weights: dict[str, Any] = {"W_enc": opened.tensor("W_enc").T}
    if architecture == "gated":
        weights = gated(weights["W_enc"], *(opened.tensor(name) for name in ("r_mag", "b_gate", "b_mag")))
    else:
        weights["b_enc"] = opened.tensor("b_enc")
    if activation == "topk":
        kwargs = config.get("activation_fn_kwargs")
        kwargs = kwargs if isinstance(kwargs, dict) else {}
        if kwargs.get("postact_fn", "relu") != "relu":
            raise refused(opened.where, _LIBRARY, "keeps more than positive activations")
        weights["k"] = whole(kwargs, where, "k")
    bias = opened.tensor("b_dec")
    return Dictionary(
        NAME,
        f"{architecture} {activation}",
        W_dec=opened.tensor("W_dec"),
        b_dec=bias,
        b_in=bias,
        scaling=scaling,
        **weights,
    )


def _configuration(opened: Opened) -> dict[str, Any] | None:
    """What the library says of it, in the weights or beside them; None if it did not write them."""
    held, said = opened.beside("cfg"), opened.json("config.json")
    if held is not None and _is_its(held):
        return held
    return {"normalize_activations": "layer_norm", **said} if said is not None and _is_its(said) else None


def _is_its(config: dict[str, Any]) -> bool:
    return "activation_fn_str" in config and "d_in" in config
