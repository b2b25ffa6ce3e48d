"""Dictionaries in the layout of other libraries, and what those libraries make of samples, in NumPy.

Each writes files as the library's own save code does, and gives the codes and the reconstruction by its forward.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

D, F, K = 6, 10, 3
Codes = tuple[np.ndarray, np.ndarray]
Forward = Callable[[np.ndarray], Codes]


def _draw() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Encoder (f, d), decoder (f, d) with rows of different norms, and their biases."""
    rng = np.random.default_rng(7)
    encoder, decoder = rng.standard_normal((2, F, D)).astype(np.float32)
    b_enc, b_dec = (rng.standard_normal(size).astype(np.float32) / 3 for size in (F, D))
    return encoder, decoder, b_enc, b_dec


ENC, DEC, B_ENC, B_DEC = _draw()
THRESHOLD = np.linspace(0.1, 1.2, F).astype(np.float32)
R_MAG, B_GATE, B_MAG = (np.random.default_rng(8).standard_normal((3, F)) / 2).astype(np.float32)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def topk(x: np.ndarray, k: int = K) -> np.ndarray:
    return np.where(x >= np.sort(x, axis=1)[:, [-k]], relu(x), 0)


def over(x: np.ndarray, threshold: Any) -> np.ndarray:
    return relu(x) * (x > threshold)


def torches(**arrays: np.ndarray) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}


def _saelens(architecture: str, folder: Path, **more: Any) -> Forward:
    """``SAE.save_model``: state dictionary as safetensors, configuration with the architecture."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "d_in": D,
        "d_sae": F,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "sae_lens_training_version": None},
        "architecture": architecture,
        **more,
    }
    state = {"W_enc": ENC.T, "W_dec": DEC, "b_dec": B_DEC}
    if architecture == "gated":
        state |= {"r_mag": R_MAG, "b_gate": B_GATE, "b_mag": B_MAG}
    else:
        state |= {"b_enc": B_ENC}
    if architecture == "jumprelu":
        state |= {"threshold": THRESHOLD}
    if architecture == "topk":
        config |= {"k": K, "rescale_acts_by_decoder_norm": more.get("rescale_acts_by_decoder_norm", False)}
    save_file(torches(**state), folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config))

    def forward(x: np.ndarray) -> Codes:
        inputs = x - B_DEC * config["apply_b_dec_to_input"]
        before = inputs @ ENC.T + B_ENC
        if architecture == "gated":
            codes = (inputs @ ENC.T + B_GATE > 0) * relu(inputs @ (ENC.T * np.exp(R_MAG)) + B_MAG)
        elif architecture == "jumprelu":
            codes = over(before, THRESHOLD)
        elif architecture == "topk" and config["rescale_acts_by_decoder_norm"]:
            norms = np.linalg.norm(DEC, axis=1)
            codes = topk(before * norms)
            return codes, (codes / norms) @ DEC + B_DEC
        else:
            codes = topk(before) if architecture == "topk" else relu(before)
        return codes, codes @ DEC + B_DEC

    return forward


def _saelens_before_6(folder: Path) -> Forward:
    """What versions before 6 wrote: the activation apart from the architecture."""
    forward = _saelens("topk", folder)
    config = json.loads((folder / "cfg.json").read_text())
    for name in ("k", "rescale_acts_by_decoder_norm", "metadata"):
        del config[name]
    config |= {
        "architecture": "standard",
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": K},
        "normalize_activations": False,
    }
    (folder / "cfg.json").write_text(json.dumps(config))
    return forward


def _sparsify(folder: Path) -> Forward:
    """``SparseCoder.save_to_disk``."""
    folder.mkdir(parents=True)
    state = {"encoder.weight": ENC, "encoder.bias": B_ENC, "W_dec": DEC, "b_dec": B_DEC}
    save_file(torches(**state), folder / "sae.safetensors")
    config = {
        "activation": "topk",
        "expansion_factor": 32,
        "normalize_decoder": True,
        "num_latents": F,
        "k": K,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": D,
    }
    (folder / "cfg.json").write_text(json.dumps(config))
    return lambda x: _decoded(topk(relu((x - B_DEC) @ ENC.T + B_ENC)))


def _decoded(codes: np.ndarray) -> Codes:
    return codes, codes @ DEC + B_DEC


def _dictionary_learning(kind: str, folder: Path, checkpoint: bool = False) -> Forward:
    """``trainSAE``: the state dictionary in ae.pt, the trainer's configuration beside it."""
    linear = {"encoder.weight": ENC, "encoder.bias": B_ENC, "decoder.weight": DEC.T}
    matrices = {"W_enc": ENC.T, "b_enc": B_ENC, "W_dec": DEC, "b_dec": B_DEC}
    k, one = np.array(K, dtype=np.int32), np.array(0.6, dtype=np.float32)
    state = {
        "AutoEncoder": linear | {"bias": B_DEC},
        "AutoEncoderNew": linear | {"decoder.bias": B_DEC},
        "GatedAutoEncoder": {
            "encoder.weight": ENC,
            "decoder.weight": DEC.T,
            "decoder_bias": B_DEC,
            "r_mag": R_MAG,
            "gate_bias": B_GATE,
            "mag_bias": B_MAG,
        },
        "JumpReluAutoEncoder": matrices | {"threshold": THRESHOLD},
        "AutoEncoderTopK": linear | {"b_dec": B_DEC, "k": k, "threshold": one},
        "BatchTopKSAE": linear | {"b_dec": B_DEC, "k": k, "threshold": one},
        "MatryoshkaBatchTopKSAE": matrices | {"k": k, "threshold": one, "group_sizes": np.array([4, F - 4])},
        "MatroyshkaBatchTopKSAE": matrices | {"k": k, "threshold": one, "group_sizes": np.array([4, F - 4])},
    }[kind]
    weights = folder / "checkpoints" / "ae_100.pt" if checkpoint else folder / "ae.pt"
    weights.parent.mkdir(parents=True)
    torch.save(torches(**state), weights)
    trainer = {"dict_class": kind, "activation_dim": D, "dict_size": F, "k": K, "layer": "", "lm_name": ""}
    (folder / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"d_submodule": D}}))

    def forward(x: np.ndarray) -> Codes:
        before, raw = (x - B_DEC) @ ENC.T + B_ENC, x @ ENC.T + B_ENC
        if kind == "AutoEncoder":  # read with decoder rows of norm 1
            norms = np.linalg.norm(DEC, axis=1)
            return relu(before * norms), relu(before) @ DEC + B_DEC
        if kind == "AutoEncoderNew":
            return _decoded(relu(raw))
        if kind == "GatedAutoEncoder":
            inner = (x - B_DEC) @ ENC.T
            return _decoded((inner + B_GATE > 0) * relu(np.exp(R_MAG) * inner + B_MAG))
        if kind == "JumpReluAutoEncoder":
            return _decoded(over(raw, THRESHOLD))
        return _decoded(topk(relu(before)) if kind == "AutoEncoderTopK" else over(before, 0.6))

    return forward


def prisma_checkpoint(config: dict[str, Any], state: dict[str, torch.Tensor], path: Path) -> None:
    """``save_model``: the configuration as an object of the library's own, beside the state dictionary."""
    name = "vit_prisma.sae.config"
    module = ModuleType(name)
    kind = type("VisionModelSAERunnerConfig", (), {"__module__": name})
    vars(module)[kind.__name__] = kind
    held = kind()
    vars(held).update(config)
    packages = {package: ModuleType(package) for package in ("vit_prisma", "vit_prisma.sae")}
    with mock.patch.dict(sys.modules, {**packages, name: module}):
        torch.save({"cfg": held, "state_dict": state}, path)


def _prisma(
    architecture: str, activation: str, folder: Path, scaling: str = "none", checkpoint: bool = False
) -> Forward:
    """``save_config`` and the state dictionary, or both in one checkpoint."""
    folder.mkdir(parents=True)
    config = {
        "model_name": "open-clip:laion/CLIP",
        "d_in": D,
        "d_sae": F,
        "expansion_factor": 16,
        "architecture": architecture,
        "activation_fn_str": activation,
        "activation_fn_kwargs": {"k": K} if activation == "topk" else {},
        "normalize_activations": scaling,
        "is_transcoder": False,
        "dtype": {"__type__": "torch.dtype", "value": "torch.float32"},
    }
    state = {"W_enc": ENC.T, "W_dec": DEC, "b_enc": B_ENC, "b_dec": B_DEC}
    if architecture == "gated":
        state |= {"r_mag": R_MAG, "b_gate": B_GATE, "b_mag": B_MAG}
    if checkpoint:
        config |= {"dtype": torch.float32, "device": torch.device("cpu")}
        prisma_checkpoint(config, torches(**state), folder / "n_images_5.pt")
    else:
        (folder / "config.json").write_text(json.dumps(config))
        torch.save(torches(**state), folder / "weights.pt")

    def forward(x: np.ndarray) -> Codes:
        if scaling == "layer_norm":
            x = x - x.mean(axis=1, keepdims=True)
            x = x / (x.std(axis=1, ddof=1, keepdims=True) + 1e-5)
        if scaling == "constant_norm_rescale":
            x = x * D**0.5 / np.linalg.norm(x, axis=1, keepdims=True)
        inner = (x - B_DEC) @ ENC.T
        if architecture == "gated":
            return _decoded((inner + B_GATE > 0) * relu((x - B_DEC) @ (ENC.T * np.exp(R_MAG)) + B_MAG))
        return _decoded(topk(inner + B_ENC) if activation == "topk" else relu(inner + B_ENC))

    return forward


def _saev(folder: Path, header: dict[str, Any], state: dict[str, np.ndarray], forward: Forward) -> Forward:
    """``saev.nn.dump``: a line of JSON, then the state dictionary."""
    folder.mkdir(parents=True)
    matrices = {"W_enc": ENC.T, "b_enc": B_ENC, "W_dec": DEC, "b_dec": B_DEC}
    with (folder / "sae.pt").open("wb") as file:
        file.write((json.dumps(header) + "\n").encode())
        torch.save(torches(**matrices, **state), file)
    return forward


def _saev_header(schema: int, name: str, **params: Any) -> dict[str, Any]:
    activation = {"cls": name, "params": params}
    return {"schema": schema, "cfg": {"d_model": D, "d_sae": F, "activation": activation}, "lib": "0.1.0"}


_FIRST = {"d_vit": D, "exp_factor": 2, "sparsity_coeff": 4e-4, "n_reinit_samples": 1, "seed": 0}


def _raw(x: np.ndarray) -> np.ndarray:
    activations: np.ndarray = x @ ENC.T + B_ENC
    return activations


def _overcomplete(folder: Path, said: dict[str, Any], forward: Forward, **more: np.ndarray) -> Forward:
    """The state dictionary of an SAE, and what it does not hold."""
    folder.mkdir(parents=True)
    multiplier = np.array(0.25, dtype=np.float32)
    state = {"dictionary._weights": DEC, "dictionary.multiplier": multiplier, **more}
    torch.save(torches(**state), folder / "sae.pt")
    if said:
        (folder / "modalens.json").write_text(json.dumps(said))
    atoms = DEC / (np.linalg.norm(DEC, axis=1, keepdims=True) + 1e-8) * np.exp(0.25)

    def whole(x: np.ndarray) -> Codes:
        codes, _ = forward(x)
        return codes, codes @ atoms

    return whole


_LINEAR = {"encoder.final_block.0.weight": ENC, "encoder.final_block.0.bias": B_ENC}


def _mapped(folder: Path, said: dict[str, Any], forward: Forward, suffix: str = ".safetensors") -> Forward:
    """A state of nobody's, and a mapping."""
    folder.mkdir(parents=True)
    state = torches(enc=ENC.T, dec=DEC.T, be=B_ENC, bd=B_DEC, cut=THRESHOLD)
    if suffix == ".safetensors":
        save_file(state, folder / "mine.safetensors")
    else:
        torch.save({"step": 3, "state_dict": state}, folder / f"mine{suffix}")
    names = {"encoder": "enc", "decoder": "dec", "encoder_bias": "be", "decoder_bias": "bd"}
    (folder / "modalens.json").write_text(json.dumps({**names, "normalisation": "none", **said}))
    return forward


# By name: writes a folder, and gives the library's forward.
WRITERS: dict[str, Callable[[Path], Forward]] = {
    "saelens standard": lambda to: _saelens("standard", to),
    "saelens standard, input as it is": lambda to: _saelens("standard", to, apply_b_dec_to_input=False),
    "saelens topk": lambda to: _saelens("topk", to),
    "saelens topk by decoder norm": lambda to: _saelens("topk", to, rescale_acts_by_decoder_norm=True),
    "saelens jumprelu": lambda to: _saelens("jumprelu", to),
    "saelens gated": lambda to: _saelens("gated", to),
    "saelens before 6": _saelens_before_6,
    "sparsify": _sparsify,
    "dictionary_learning AutoEncoder": lambda to: _dictionary_learning("AutoEncoder", to),
    "dictionary_learning AutoEncoderNew": lambda to: _dictionary_learning("AutoEncoderNew", to),
    "dictionary_learning gated": lambda to: _dictionary_learning("GatedAutoEncoder", to),
    "dictionary_learning jumprelu": lambda to: _dictionary_learning("JumpReluAutoEncoder", to),
    "dictionary_learning topk": lambda to: _dictionary_learning("AutoEncoderTopK", to),
    "dictionary_learning batch topk": lambda to: _dictionary_learning("BatchTopKSAE", to),
    "dictionary_learning matryoshka": lambda to: _dictionary_learning("MatryoshkaBatchTopKSAE", to),
    "sae-for-vlm matryoshka": lambda to: _dictionary_learning("MatroyshkaBatchTopKSAE", to),
    "sae-for-vlm checkpoint": lambda to: _dictionary_learning("BatchTopKSAE", to, checkpoint=True),
    "prisma standard": lambda to: _prisma("standard", "relu", to),
    "prisma topk": lambda to: _prisma("standard", "topk", to),
    "prisma gated": lambda to: _prisma("gated", "relu", to),
    "prisma layer norm": lambda to: _prisma("standard", "relu", to, "layer_norm"),
    "prisma checkpoint": lambda to: _prisma("standard", "topk", to, checkpoint=True),
    "prisma constant norm": lambda to: _prisma("standard", "topk", to, "constant_norm_rescale"),
    "saev 0": lambda to: _saev(to, _FIRST, {}, lambda x: _decoded(relu((x - B_DEC) @ ENC.T + B_ENC))),
    "saev 1": lambda to: _saev(
        to,
        {"schema": 1, "cls": "TopK", "cfg": {"d_vit": D, "exp_factor": 2, "top_k": K}},
        {},
        lambda x: _decoded(topk(_raw(x))),
    ),
    "saev 2": lambda to: _saev(
        to, _saev_header(2, "BatchTopK", top_k=K), {}, lambda x: _decoded(topk(_raw(x)))
    ),
    "saev 5": lambda to: _saev(
        to,
        _saev_header(5, "BatchTopK", kind="batch-top-k", top_k=K, momentum=0.1),
        {"activation.threshold": np.array(0.7, dtype=np.float32)},
        lambda x: _decoded(over(_raw(x), 0.7)),
    ),
    "saev 5 relu": lambda to: _saev(to, _saev_header(5, "Relu"), {}, lambda x: _decoded(relu(_raw(x)))),
    "overcomplete topk": lambda to: _overcomplete(
        to, {"activation": "topk", "k": K}, lambda x: _decoded(topk(relu(_raw(x)))), **_LINEAR
    ),
    "overcomplete batch topk": lambda to: _overcomplete(
        to,
        {"activation": "batch_topk", "threshold": 0.5},
        lambda x: _decoded(relu(_raw(x)) * (_raw(x) >= np.float32(0.5))),
        **_LINEAR,
    ),
    "overcomplete jumprelu": lambda to: _overcomplete(
        to,
        {},
        lambda x: _decoded(over(_raw(x), np.exp(np.log(THRESHOLD)))),
        thresholds=np.log(THRESHOLD),
        **_LINEAR,
    ),
    "overcomplete untied": lambda to: _overcomplete(
        to, {"activation": "relu"}, lambda x: _decoded(relu(x @ ENC.T)), **{"encoder.weight": ENC}
    ),
    "mapped relu": lambda to: _mapped(
        to, {"activation": "relu", "input_bias": "bd"}, lambda x: _decoded(relu((x - B_DEC) @ ENC.T + B_ENC))
    ),
    "mapped topk": lambda to: _mapped(
        to, {"activation": "topk", "k": K}, lambda x: _decoded(topk(_raw(x))), ".pth"
    ),
    "mapped jumprelu": lambda to: _mapped(
        to, {"activation": "jumprelu", "threshold": "cut"}, lambda x: _decoded(over(_raw(x), THRESHOLD))
    ),
    "mapped batch topk": lambda to: _mapped(
        to, {"activation": "batch_topk", "threshold": 0.5}, lambda x: _decoded(over(_raw(x), 0.5)), ".pt"
    ),
}


def write(name: str, folder: Path) -> tuple[Path, Forward]:
    """The files of a dictionary: what to open, and the library's forward."""
    forward = WRITERS[name](folder)
    checkpoint = folder / "checkpoints" / "ae_100.pt"
    return (checkpoint if checkpoint.exists() else folder), forward
