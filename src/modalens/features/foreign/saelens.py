"""SAELens: ``cfg.json`` and ``sae_weights.safetensors``, as ``SAE.save_model`` writes them (also before version 6)."""

from typing import Any

import torch

from modalens.features.foreign.dictionary import Dictionary, chosen, gated, norms_folded, refused, whole
from modalens.features.foreign.opened import Opened

NAME = "saelens"
_LIBRARY = "SAELens"
_ARCHITECTURES = {name: name for name in ("standard", "topk", "jumprelu", "gated")}
_SCALINGS = {"none": "none", "layer_norm": "layer_norm", "constant_norm_rescale": "constant_norm"}


def recognises(opened: Opened) -> bool:
    """Whether these are its files."""
    config = opened.json("cfg.json")
    return config is not None and ("d_sae" in config or opened.weights.name == "sae_weights.safetensors")


def read(opened: Opened) -> Dictionary:
    """The dictionary of a folder of SAELens."""
    config = _current(opened.json("cfg.json") or {})
    where = f"The configuration of {opened.where}"
    architecture = chosen(config, where, "architecture", _ARCHITECTURES, _LIBRARY)
    if config["normalize_activations"] not in _SCALINGS:
        raise refused(
            opened.where,
            _LIBRARY,
            f"was trained on rescaled embeddings ({config['normalize_activations']}) without the factor in its weights",
        )
    if config.get("reshape_activations", "none") != "none":
        raise refused(opened.where, _LIBRARY, "joins the heads of an attention layer")
    if config["activation"] not in ("relu", "topk"):
        raise refused(opened.where, _LIBRARY, f"has the activation {config['activation']}")
    scale = opened.tensors.get("scaling_factor")
    if scale is not None and not torch.allclose(scale.float(), torch.ones(())):
        raise refused(opened.where, _LIBRARY, "was finetuned by a factor a feature")
    weights: dict[str, Any] = {"W_enc": opened.tensor("W_enc").T, "W_dec": opened.tensor("W_dec")}
    if architecture == "gated":
        weights |= gated(weights["W_enc"], *(opened.tensor(name) for name in ("r_mag", "b_gate", "b_mag")))
    else:
        weights["b_enc"] = opened.tensor("b_enc")
    if architecture == "jumprelu":
        weights["threshold"] = opened.tensor("threshold")
    if architecture == "topk" and config.get("rescale_acts_by_decoder_norm"):
        weights |= norms_folded(weights["W_enc"], weights["b_enc"], weights["W_dec"])
    bias = opened.tensor("b_dec")
    return Dictionary(
        NAME,
        architecture,
        b_dec=bias,
        b_in=bias if config.get("apply_b_dec_to_input", True) else None,
        k=whole(config, where, "k") if architecture == "topk" else None,
        scaling=_SCALINGS[config["normalize_activations"]],
        **weights,
    )


def _current(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as version 6 writes it, from one of any version."""
    found = {"architecture": "standard", **config}
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    kwargs = config.get("activation_fn_kwargs")
    if activation == "topk" and isinstance(kwargs, dict):
        found |= {"architecture": "topk", "k": kwargs.get("k")}
    said = config.get("normalize_activations")
    if isinstance(said, bool) or said is None:
        said = "expected_average_only_in" if said else "none"
    return found | {"activation": activation, "normalize_activations": str(said)}
