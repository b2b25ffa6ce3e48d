"""ViT-Prisma: ``config.json`` (``save_config``) and the state dictionary beside it, as they are shared."""

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
    config = opened.json("config.json")
    return config is not None and "activation_fn_str" in config and "d_in" in config


def read(opened: Opened) -> Dictionary:
    """The dictionary of a folder of ViT-Prisma."""
    config = {"architecture": "standard", "normalize_activations": "layer_norm"}
    config |= opened.json("config.json") or {}
    where = f"The configuration of {opened.where}"
    architecture = chosen(config, where, "architecture", {"standard": "standard", "gated": "gated"}, _LIBRARY)
    activation = chosen(config, where, "activation_fn_str", {"relu": "relu", "topk": "topk"}, _LIBRARY)
    scaling = chosen(
        config | {"normalize_activations": str(config["normalize_activations"])},
        where,
        "normalize_activations",
        _SCALINGS,
        _LIBRARY,
    )
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
        weights["k"] = whole(kwargs if isinstance(kwargs, dict) else {}, where, "k")
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
