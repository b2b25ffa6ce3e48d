"""Files that the other libraries write themselves open, and codes agree; each test runs where its library is there.

Run it in the environment of ``make benchmark-peers``, or any with the library.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch

import modalens as ml

D, F, K = 16, 40, 5


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((200, D)).astype(np.float32)


def check(where: Path, x: np.ndarray, codes: torch.Tensor, decoded: torch.Tensor) -> None:
    found = ml.load_features(where)
    ours = found.encode(x)
    assert 0 < ours.nnz < codes.numel()
    np.testing.assert_allclose(ours.toarray(), codes.detach().numpy(), atol=1e-5)
    if found.has_decoder:
        np.testing.assert_allclose(found.decode(ours), decoded.detach().numpy(), atol=1e-5)


def shaken(module: Any) -> Any:
    """The module with weights that are not as it starts."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))
    return module


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
@pytest.mark.parametrize("applied", [True, False])
def test_saelens(architecture: str, applied: bool, x: np.ndarray, tmp_path: Path) -> None:
    sae_lens = pytest.importorskip("sae_lens", reason="sae-lens is not installed")
    kind, config = sae_lens.registry.get_sae_class(architecture)
    more = {"k": K, "rescale_acts_by_decoder_norm": applied} if architecture == "topk" else {}
    theirs = shaken(kind(config(d_in=D, d_sae=F, apply_b_dec_to_input=applied, **more)))
    theirs.save_model(tmp_path)
    codes = theirs.encode(torch.from_numpy(x))
    check(tmp_path, x, codes, theirs.decode(codes))


@pytest.mark.parametrize(
    "name",
    [
        "AutoEncoder",
        "AutoEncoderNew",
        "GatedAutoEncoder",
        "JumpReluAutoEncoder",
        "AutoEncoderTopK",
        "BatchTopKSAE",
        "MatryoshkaBatchTopKSAE",
    ],
)
def test_dictionary_learning(name: str, x: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("dictionary_learning", reason="dictionary-learning is not installed")
    homes = {
        "AutoEncoderTopK": "trainers.top_k",
        "BatchTopKSAE": "trainers.batch_top_k",
        "MatryoshkaBatchTopKSAE": "trainers.matryoshka_batch_top_k",
    }
    module = import_module(f"dictionary_learning.{homes.get(name, 'dictionary')}")
    kind = getattr(module, name)
    sizes = {"AutoEncoderTopK": (K,), "BatchTopKSAE": (K,), "MatryoshkaBatchTopKSAE": (K, [10, F - 10])}
    theirs = shaken(kind(D, F, *sizes.get(name, ())))
    if "BatchTopK" in name:
        theirs.threshold.fill_(0.4)
    torch.save(theirs.state_dict(), tmp_path / "ae.pt")
    trainer = {"dict_class": name, "activation_dim": D, "dict_size": F, "k": K}
    (tmp_path / "config.json").write_text(json.dumps({"trainer": trainer}))
    theirs = kind.from_pretrained(str(tmp_path / "ae.pt"))
    codes = theirs.encode(torch.from_numpy(x))
    check(tmp_path, x, codes, theirs.decode(codes))


@pytest.mark.parametrize("name", ["SAE", "TopKSAE", "BatchTopKSAE", "JumpSAE"])
@pytest.mark.parametrize("multiplier", [False, True])
def test_overcomplete(
    name: str, multiplier: bool, x: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its figures, imported with it, ask for what Matplotlib has no more.
    monkeypatch.setattr("matplotlib.cm.get_cmap", matplotlib.colormaps.get_cmap, raising=False)
    overcomplete = pytest.importorskip("overcomplete", reason="overcomplete is not installed")

    more = {"top_k": K} if "TopK" in name else {}
    given = {"dictionary_params": {"use_multiplier": multiplier}, **more}
    theirs = shaken(getattr(overcomplete.sae, name)(D, F, **given))
    rows = torch.from_numpy(x)
    said: dict[str, Any] = {"activation": {"SAE": "relu", "TopKSAE": "topk"}.get(name, "jumprelu"), **more}
    said.pop("top_k", None)
    if name == "TopKSAE":
        said["k"] = K
    if name == "BatchTopKSAE":
        theirs.top_k = K * len(x)
        theirs(rows)
        said = {"activation": "batch_topk", "threshold": float(theirs.running_threshold)}
    torch.save(theirs.state_dict(), tmp_path / "sae.pt")
    (tmp_path / "modalens.json").write_text(json.dumps(said))
    theirs.eval()
    _, codes = theirs.encode(rows)
    check(tmp_path, x, codes, theirs.decode(codes))


def test_sparsify(x: np.ndarray, tmp_path: Path) -> None:
    sparsify = pytest.importorskip("sparsify", reason="eai-sparsify is not installed")

    theirs = shaken(sparsify.SparseCoder(D, sparsify.SparseCoderConfig(num_latents=F, k=K)))
    theirs.save_to_disk(tmp_path)
    values, indices, _ = theirs.encode(torch.from_numpy(x))
    codes = torch.zeros(len(x), F).scatter(1, indices, values)
    check(tmp_path, x, codes, codes @ theirs.W_dec + theirs.b_dec)


def test_saev(x: np.ndarray, tmp_path: Path) -> None:
    nn = pytest.importorskip("saev.nn", reason="saev is not installed")
    config = import_module("saev.config")

    theirs = shaken(nn.SparseAutoencoder(config.SparseAutoencoder(d_vit=D, exp_factor=2)))
    nn.dump(str(tmp_path / "sae.pt"), theirs)
    decoded, codes, _ = nn.load(str(tmp_path / "sae.pt"))(torch.from_numpy(x))
    check(tmp_path / "sae.pt", x, codes, decoded)


@pytest.mark.parametrize("kind", ["standard relu", "standard topk", "gated relu"])
@pytest.mark.parametrize("scaling", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("shared", [False, True])
def test_vit_prisma(kind: str, scaling: str, shared: bool, x: np.ndarray, tmp_path: Path) -> None:
    sae = pytest.importorskip("vit_prisma.sae", reason="ViT-Prisma's autoencoders are not installed")
    architecture, activation = kind.split()
    config = sae.VisionModelSAERunnerConfig(
        d_in=D,
        expansion_factor=2,
        architecture=architecture,
        activation_fn_str=activation,
        activation_fn_kwargs={"k": K} if activation == "topk" else {},
        normalize_activations=scaling,
        b_dec_init_method="mean",
        use_ghost_grads=False,
    )
    config.device = "cpu"
    theirs = shaken(getattr(sae, f"{architecture.title()}SparseAutoencoder")(config))
    weights = str(tmp_path / "weights.pt")
    config.save_config(str(tmp_path / "config.json"))
    if shared:  # as the published ones are
        torch.save(theirs.state_dict(), weights)
    else:  # as training writes it, which needs no other file
        theirs.save_model(weights)
        (tmp_path / "config.json").unlink()
    theirs = sae.SparseAutoencoder.load_from_pretrained(weights)
    _, codes = theirs.encode(torch.from_numpy(x))
    found = ml.load_features(tmp_path)
    assert found.has_decoder == (scaling == "none")
    check(tmp_path, x, codes, theirs.decode(codes))
