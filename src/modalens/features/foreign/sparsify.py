"""sparsify (EleutherAI): ``cfg.json`` and ``sae.safetensors``, as ``SparseCoder.save_to_disk`` writes them."""

from modalens.features.foreign.dictionary import Dictionary, refused, whole
from modalens.features.foreign.opened import Opened

NAME = "sparsify"


def recognises(opened: Opened) -> bool:
    """Whether these are its files."""
    config = opened.json("cfg.json")
    return config is not None and "d_in" in config and "d_sae" not in config and "k" in config


def read(opened: Opened) -> Dictionary:
    """The dictionary of a folder of sparsify."""
    config = opened.json("cfg.json") or {}
    where = f"The configuration of {opened.where}"
    for key, what in (
        ("transcode", "predicts another layer"),
        ("skip_connection", "has a linear path beside it"),
        ("signed", "has features of either sign"),
    ):
        if config.get(key):
            raise refused(opened.where, NAME, what)
    if config.get("activation", "topk") != "topk":
        raise refused(opened.where, NAME, f"has the activation {config['activation']}")
    bias = opened.tensor("b_dec")
    return Dictionary(
        NAME,
        "topk",
        W_enc=opened.tensor("encoder.weight"),
        W_dec=opened.tensor("W_dec"),
        b_enc=opened.tensor("encoder.bias"),
        b_dec=bias,
        b_in=bias,
        k=whole(config, where, "k"),
    )
