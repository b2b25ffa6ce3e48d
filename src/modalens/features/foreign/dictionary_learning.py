"""dictionary_learning: ``config.json`` and ``ae.pt``, as ``trainSAE`` writes them; sae-for-vlm (Pach et al.) does too.

Dictionaries are read as ``load_dictionary`` reads them: of the plain autoencoder decoder rows get norm 1, and BatchTopK
is the threshold that it learned.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from modalens.features.foreign.dictionary import Dictionary, chosen, gated, norms_folded, whole
from modalens.features.foreign.opened import Opened

NAME = "dictionary_learning"
Weights = dict[str, Any]


def recognises(opened: Opened) -> bool:
    """Whether these are its files."""
    config = opened.json("config.json")
    return config is not None and isinstance(config.get("trainer"), dict)


def read(opened: Opened) -> Dictionary:
    """The dictionary of a folder of dictionary_learning."""
    trainer = (opened.json("config.json") or {})["trainer"]
    where = f"The configuration of {opened.where}"
    known = {name: name for name in _CLASSES}
    kind = chosen(trainer, where, "dict_class", known, NAME)
    weights = _CLASSES[kind](opened.tensor)
    if kind == "AutoEncoderTopK":
        weights["k"] = whole(trainer, where, "k")
    return Dictionary(NAME, kind, **weights)


def _linear(get: Callable[[str], Tensor], bias: str, b_enc: str | None = "encoder.bias") -> Weights:
    """Layers as ``nn.Linear`` has them, with a bias that is taken from the input too."""
    found: Weights = {"W_enc": get("encoder.weight"), "W_dec": get("decoder.weight").T}
    if b_enc is not None:
        found["b_enc"] = get(b_enc)
    return found | {"b_in": get(bias), "b_dec": get(bias)}


def _plain(get: Callable[[str], Tensor]) -> Weights:
    found = _linear(get, "bias")
    return found | norms_folded(found["W_enc"], found["b_enc"], found["W_dec"])


def _new(get: Callable[[str], Tensor]) -> Weights:
    return _linear(get, "decoder.bias") | {"b_in": None}


def _gated(get: Callable[[str], Tensor]) -> Weights:
    found = _linear(get, "decoder_bias", b_enc=None)
    return found | gated(found["W_enc"], *(get(name) for name in ("r_mag", "gate_bias", "mag_bias")))


def _matrices(get: Callable[[str], Tensor]) -> Weights:
    return {
        "W_enc": get("W_enc").T,
        "W_dec": get("W_dec"),
        "b_enc": get("b_enc"),
        "b_dec": get("b_dec"),
        "threshold": get("threshold"),
    }


_CLASSES: dict[str, Callable[[Callable[[str], Tensor]], Weights]] = {
    "AutoEncoder": _plain,
    "AutoEncoderNew": _new,
    "GatedAutoEncoder": _gated,
    "JumpReluAutoEncoder": _matrices,
    "AutoEncoderTopK": lambda get: _linear(get, "b_dec"),
    "BatchTopKSAE": lambda get: _linear(get, "b_dec") | {"threshold": get("threshold")},
    "MatryoshkaBatchTopKSAE": lambda get: _matrices(get) | {"b_in": get("b_dec")},
    "MatroyshkaBatchTopKSAE": lambda get: (
        _matrices(get) | {"b_in": get("b_dec")}
    ),  # as earlier versions spell it
}
