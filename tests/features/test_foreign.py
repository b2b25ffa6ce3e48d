"""Dictionaries that other libraries wrote: they open, and give what those libraries give."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modalens as ml
from modalens.errors import ModalensError
from modalens.features.foreign.config import ImportedConfig
from modalens.features.foreign.model import ImportedEncoder, ImportedSAE
from modalens.features.foreign.reading import FORMATS
from tests.features.foreign_files import (
    B_DEC,
    B_ENC,
    DEC,
    ENC,
    WRITERS,
    D,
    F,
    prisma_checkpoint,
    torches,
    write,
)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((40, D)).astype(np.float32)


@pytest.mark.parametrize("name", WRITERS)
def test_codes_are_those_of_the_library(name: str, x: np.ndarray, tmp_path: Path) -> None:
    where, forward = write(name, tmp_path / "theirs")
    codes, decoded = forward(x)
    found = ml.load_features(where)
    assert isinstance(found, ImportedEncoder)
    assert found.config.library == name.split()[0].replace("prisma", "vit_prisma").replace(
        "sae-for-vlm", "dictionary_learning"
    )
    ours = found.encode(x, "image")
    assert 0 < ours.nnz < ours.shape[0] * ours.shape[1]
    np.testing.assert_allclose(ours.toarray(), codes, atol=1e-5)
    np.testing.assert_allclose(found.encode_tensor(torch.from_numpy(x)).numpy(), codes, atol=1e-5)
    if isinstance(found, ImportedSAE):
        np.testing.assert_allclose(found.decode(ours, "text"), decoded, atol=1e-5)
    else:
        assert "norm" in name
        with pytest.raises(ModalensError, match="no way back"):
            found.decode(ours)
    found.save(tmp_path / "ours")
    again = ml.load_features(tmp_path / "ours")
    assert type(again) is type(found)
    assert again.config == found.config
    assert np.array_equal(again.encode(x).toarray(), ours.toarray())
    assert again.card() == found.card()


def test_gradients_go_through_active_features(tmp_path: Path, x: np.ndarray) -> None:
    for name in ("saelens topk", "saelens jumprelu"):
        where, _ = write(name, tmp_path / name)
        found = ml.load_features(where)
        rows = torch.from_numpy(x[:3]).requires_grad_()
        codes = found.encode_tensor(rows)
        codes.sum().backward()
        assert rows.grad is not None
        wanted = (codes > 0).float() @ found.state()["W_enc"]
        torch.testing.assert_close(rows.grad, wanted)


def test_the_file_of_weights_may_be_named(tmp_path: Path, x: np.ndarray) -> None:
    where, forward = write("saelens topk", tmp_path / "theirs")
    torch.save(torches(other=DEC), where / "other.pt")
    for path in (where, where / "sae_weights.safetensors"):
        np.testing.assert_allclose(ml.load_features(path).encode(x).toarray(), forward(x)[0], atol=1e-5)


def test_the_mapping_may_be_named(tmp_path: Path, x: np.ndarray) -> None:
    where, forward = write("mapped relu", tmp_path / "theirs")
    torch.save(torches(other=DEC), where / "other.pt")
    with pytest.raises(
        ModalensError, match=r"must hold one file of weights and holds mine\.safetensors, other\.pt"
    ):
        ml.load_features(where)
    mapping = json.loads((where / "modalens.json").read_text())
    (where / "modalens.json").write_text(json.dumps({**mapping, "weights": "mine.safetensors"}))
    for path in (where, where / "modalens.json"):
        np.testing.assert_allclose(ml.load_features(path).encode(x).toarray(), forward(x)[0], atol=1e-5)
    (where / "modalens.json").write_text(json.dumps({**mapping, "weights": "../mine.safetensors"}))
    with pytest.raises(ModalensError, match="must name a file beside it"):
        ml.load_features(where)


def _change(path: Path, **values: Any) -> None:
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **values}))


@pytest.mark.parametrize(
    ("name", "config", "values", "said"),
    [
        (
            "saelens topk",
            "cfg.json",
            {"architecture": "temporal"},
            "architecture 'temporal'; of SAELens these",
        ),
        (
            "saelens topk",
            "cfg.json",
            {"normalize_activations": "expected_average_only_in"},
            "rescaled embeddings",
        ),
        ("saelens topk", "cfg.json", {"normalize_activations": "something"}, "rescaled embeddings"),
        ("saelens topk", "cfg.json", {"reshape_activations": "hook_z"}, "heads of an attention layer"),
        ("saelens topk", "cfg.json", {"k": 0}, "no positive whole number k: 0"),
        ("saelens topk", "cfg.json", {"k": 99}, "k is 99 and there are 10 features"),
        ("saelens standard", "cfg.json", {"activation_fn": "tanh-relu"}, "has the activation tanh-relu"),
        ("sparsify", "cfg.json", {"activation": "groupmax"}, "has the activation groupmax"),
        ("sparsify", "cfg.json", {"transcode": True}, "predicts another layer"),
        ("sparsify", "cfg.json", {"skip_connection": True}, "a linear path beside it"),
        ("dictionary_learning topk", "config.json", {"trainer": {"dict_class": "X"}}, "dict_class 'X'"),
        ("prisma topk", "config.json", {"activation_fn_str": "tanh-relu"}, "activation_fn_str 'tanh-relu'"),
        ("prisma topk", "config.json", {"normalize_activations": "batch"}, "normalize_activations 'batch'"),
        (
            "prisma topk",
            "config.json",
            {"activation_fn_kwargs": {"k": 3, "postact_fn": "identity"}},
            "more than positive activations",
        ),
        ("prisma topk", "config.json", {"is_transcoder": True}, "predicts another layer"),
        ("mapped relu", "modalens.json", {"normalisation": None}, "normalisation None"),
        ("mapped relu", "modalens.json", {"activation": "gelu"}, "activation 'gelu'"),
        ("mapped relu", "modalens.json", {"encoder": "nothing"}, "no tensor 'nothing'; it has bd, be, cut"),
        ("mapped relu", "modalens.json", {"decoder": "be"}, "which are no encoder and decoder"),
        ("mapped relu", "modalens.json", {"encoder_bias": "bd"}, "does not hold a dictionary"),
        ("mapped relu", "modalens.json", {"bias": "be"}, "has the key 'bias'"),
        ("mapped jumprelu", "modalens.json", {"threshold": None}, "must give the threshold"),
        ("overcomplete topk", "modalens.json", {"dictionary": "l1"}, "dictionary 'l1'"),
        ("overcomplete batch topk", "modalens.json", {"threshold": "x"}, "running threshold"),
    ],
)
def test_what_is_not_known_is_refused(
    name: str, config: str, values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    where, _ = write(name, tmp_path / "theirs")
    _change(where / config, **values)
    with pytest.raises(ModalensError, match=said):
        ml.load_features(where)


def test_a_state_of_overcomplete_needs_its_activation(tmp_path: Path) -> None:
    where, _ = write("overcomplete topk", tmp_path / "theirs")
    (where / "modalens.json").unlink()
    with pytest.raises(ModalensError, match=r"does not say its activation; write modalens\.json"):
        ml.load_features(where)


def test_an_encoder_of_layers_is_refused(tmp_path: Path) -> None:
    where, _ = write("overcomplete topk", tmp_path / "theirs")
    state = torch.load(where / "sae.pt", weights_only=True)
    torch.save({**state, "encoder.final_block.1.weight": torch.ones(F)}, where / "sae.pt")
    with pytest.raises(ModalensError, match="an encoder of several layers"):
        ml.load_features(where)


def test_a_state_of_nobody_is_refused_with_the_formats(tmp_path: Path) -> None:
    torch.save(torches(a=DEC, b=B_DEC), tmp_path / "x.pt")
    with pytest.raises(ModalensError, match=", ".join(each.name for each in FORMATS)):
        ml.load_features(tmp_path)
    with pytest.raises(ModalensError, match=r"nothing\.pt holds no trained features"):
        ml.load_features(tmp_path / "nothing.pt")


def test_a_checkpoint_of_prisma_without_its_scaling_is_refused(tmp_path: Path) -> None:
    config = {"d_in": 6, "activation_fn_str": "relu", "activation_fn_kwargs": {}}
    prisma_checkpoint(config, torches(W_enc=ENC.T, W_dec=DEC, b_enc=B_ENC, b_dec=B_DEC), tmp_path / "a.pt")
    with pytest.raises(ModalensError, match="says normalize_activations None"):
        ml.load_features(tmp_path)


def test_objects_in_a_configuration_of_prisma_are_not_made(tmp_path: Path) -> None:
    config = {"d_in": 6, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3, "postact_fn": _Bomb()}}
    prisma_checkpoint(config, torches(W_enc=ENC.T), tmp_path / "a.pt")
    with pytest.raises(ModalensError, match="objects of Python beside tensors"):
        ml.load_features(tmp_path)


class _Bomb:
    def __reduce__(self) -> Any:
        return print, ("code ran",)


def test_no_code_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for save in (lambda path: torch.save({"cfg": _Bomb()}, path), _pickled):
        save(tmp_path / "x.pt")
        with pytest.raises(
            ModalensError, match=r"objects of Python beside tensors|cannot be read as PyTorch"
        ):
            ml.load_features(tmp_path)
    assert "code ran" not in capsys.readouterr().out


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Bomb()))


def test_damaged_weights_are_told(tmp_path: Path) -> None:
    where, _ = write("dictionary_learning topk", tmp_path / "theirs")
    whole = (where / "ae.pt").read_bytes()
    for damaged in (b"", b"x", whole[: len(whole) // 2], b"\x80\x02" + b"\0" * 30):
        (where / "ae.pt").write_bytes(damaged)
        with pytest.raises(ModalensError, match=r"cannot be read|objects of Python"):
            ml.load_features(where)


def test_numbers_that_are_not_there_are_not_made(tmp_path: Path) -> None:
    where, _ = write("dictionary_learning topk", tmp_path / "theirs")
    state = torch.load(where / "ae.pt", weights_only=True)
    torch.save({**state, "encoder.weight": torch.ones(1).expand(2**20, 2**20)}, where / "ae.pt")
    with pytest.raises(ModalensError, match="not stored in full"):
        ml.load_features(where)
    torch.save({**state, "encoder.bias": torch.full((F,), torch.nan)}, where / "ae.pt")
    with pytest.raises(ModalensError, match="b_enc that are not finite"):
        ml.load_features(where)
    torch.save(state, tmp_path / "plain.pt")
    packed = zipfile.ZipFile(where / "ae.pt", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, packed:
        for each in plain.namelist():
            packed.writestr(each, plain.read(each))
    with pytest.raises(ModalensError, match="is compressed"):
        ml.load_features(where)


def test_configurations_check_themselves() -> None:
    what = {"d": 4, "n_features": 8, "library": "x", "architecture": "y"}
    assert ImportedConfig(**what, select="topk", k=2).label == "x-n8"
    for wrong in ({"select": "topk"}, {"k": 2}, {"select": "topk", "k": 9}, {"scaling": "layer_norm"}):
        with pytest.raises(ModalensError):
            ImportedConfig(**what, **wrong)
