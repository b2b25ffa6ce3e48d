"""A state dictionary of any origin, and ``modalens.json`` beside it, which says what its tensors are.

======================  ==================================================================================
``encoder``             name of the encoder's weights, (f, d) or (d, f)
``decoder``             name of the decoder's weights, (f, d) or (d, f)
``encoder_bias``        name of what is added to the activations; none by default
``decoder_bias``        name of what is added to the output; none by default
``input_bias``          name of what is taken from the input; none by default
``activation``          ``relu``, ``topk`` with ``k``, ``jumprelu`` or ``batch_topk`` with ``threshold``
``threshold``           a number or the name of a tensor
``normalisation``       ``none``, ``layer_norm`` or ``constant_norm``; must be said
``weights``             the file, where there are several
======================  ==================================================================================
"""

from typing import Any

from torch import Tensor

from modalens.errors import InputError
from modalens.features.foreign.config import SCALINGS
from modalens.features.foreign.dictionary import Dictionary, chosen, whole
from modalens.features.foreign.opened import MAPPING, Opened

NAME = "mapped"
_KINDS = {name: name for name in ("relu", "topk", "jumprelu", "batch_topk")}
_KEYS = (
    "encoder",
    "decoder",
    "encoder_bias",
    "decoder_bias",
    "input_bias",
    "activation",
    "k",
    "threshold",
    "normalisation",
    "weights",
)


def recognises(opened: Opened) -> bool:
    """Whether somebody said what the tensors are."""
    return opened.mapping is not None and "encoder" in opened.mapping


def read(opened: Opened) -> Dictionary:
    """The dictionary that a mapping describes."""
    said = opened.mapping or {}
    where = f"The mapping {MAPPING} of {opened.where}"
    if unknown := sorted(set(said) - set(_KEYS)):
        raise InputError(f"{where} has the key {unknown[0]!r}; it takes {', '.join(_KEYS)}.")
    kind = chosen(said, where, "activation", _KINDS, "such states")
    scaling = chosen(said, where, "normalisation", {name: name for name in SCALINGS}, "such states")
    encoder = _named(opened, said, where, "encoder")
    decoder = _named(opened, said, where, "decoder")
    if encoder is None or decoder is None:
        raise InputError(f"{where} must name the tensors of encoder and decoder.")
    biases = {key: _named(opened, said, where, key) for key in ("encoder_bias", "decoder_bias", "input_bias")}
    encoder, decoder = _oriented(encoder, decoder, list(biases.values()), where)
    rest: dict[str, Any] = {}
    if kind == "topk":
        rest["k"] = whole(said, where, "k")
    elif kind != "relu":
        number = said.get("threshold")
        if isinstance(number, int | float) and not isinstance(number, bool):
            threshold: Tensor | float | None = float(number)
        else:
            threshold = _named(opened, said, where, "threshold")
        if threshold is None:
            raise InputError(f"{where} must give the threshold of {kind}.")
        rest["threshold"] = threshold
    return Dictionary(
        NAME,
        kind,
        W_enc=encoder,
        W_dec=decoder,
        b_enc=biases["encoder_bias"],
        b_dec=biases["decoder_bias"],
        b_in=biases["input_bias"],
        scaling=scaling,
        **rest,
    )


def _named(opened: Opened, said: dict[str, Any], where: str, key: str) -> Tensor | None:
    name = said.get(key)
    if name is None:
        return None
    if not isinstance(name, str):
        raise InputError(f"{where} must give the name of a tensor as {key}.")
    return opened.tensor(name)


def _oriented(
    encoder: Tensor, decoder: Tensor, biases: list[Tensor | None], where: str
) -> tuple[Tensor, Tensor]:
    """Both as (f, d); biases say which is which, and where there are none, the longer side is f."""
    if encoder.ndim != 2 or decoder.ndim != 2 or sorted(encoder.shape) != sorted(decoder.shape):
        raise InputError(
            f"{where} names matrices of shapes {tuple(encoder.shape)} and {tuple(decoder.shape)}, which are no encoder "
            "and decoder of one dictionary."
        )
    b_enc, *others = biases
    d = next((len(each) for each in others if each is not None), None)
    if b_enc is not None:
        f = len(b_enc)
    elif d is not None:
        f = encoder.shape[0] if encoder.shape[1] == d else encoder.shape[1]
    else:
        f = max(encoder.shape)
    if encoder.shape[0] == encoder.shape[1]:
        # Of square ones only the usual form is taken: x @ encoder.T as nn.Linear has it, and its decoder.
        return encoder, decoder.T
    return (
        encoder if encoder.shape[0] == f else encoder.T,
        decoder if decoder.shape[0] == f else decoder.T,
    )
