import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import load_file

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import SAEConfig
from modalens.features.registry import kind_named
from modalens.features.saelens import save_saelens
from tests.features.kinds import LINEAR

D, F, K = 12, 40, 5


def random_sae(kind="topk", standardise="none"):
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    tensors = {
        "W_enc": normal(F, D),
        "W_dec": torch.nn.functional.normalize(normal(F, D)),
        "b_enc": 0.1 * normal(F),
        "b_pre": 0.3 * normal(D),
        "mean": torch.zeros(2, D),
        "scale": torch.ones(2, D),
        "threshold": torch.tensor(1.7),
    }
    if standardise != "none":
        tensors |= {"mean": normal(2, D), "scale": torch.rand(2, D, generator=generator) + 0.5}
        if standardise == "shared":
            tensors |= {name: tensors[name][:1].repeat(2, 1) for name in ("mean", "scale")}
    return kind_named(kind).model_class(SAEConfig(D, F, K, kind, standardise), tensors)


def embeddings():
    return np.random.default_rng(4).standard_normal((200, D)).astype(np.float32)


def read_as_theirs(folder, x):
    """Codes and reconstruction by SAELens' documented equations, from its two files alone."""
    config = json.loads((folder / "cfg.json").read_text())
    t = {name: tensor.numpy() for name, tensor in load_file(folder / "sae_weights.safetensors").items()}
    assert config["apply_b_dec_to_input"]
    assert config["normalize_activations"] == "none"
    before = (x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]
    if config["architecture"] == "topk":
        codes = np.where(before >= np.sort(before, axis=1)[:, [-config["k"]]], np.maximum(before, 0), 0)
    else:
        codes = np.maximum(before, 0) * (before > t["threshold"])
    return codes, codes @ t["W_dec"] + t["b_dec"]


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("standardise", ["none", "shared", "per_modality"])
@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_files_say_the_same_function(kind, standardise, modality, tmp_path):
    sae, x = random_sae(kind, standardise), embeddings()
    assert save_saelens(sae, tmp_path / "out", modality) == tmp_path / "out"
    codes, decoded = read_as_theirs(tmp_path / "out", x)
    ours = sae.encode(x, modality)
    assert ours.nnz > 0
    np.testing.assert_allclose(ours.toarray(), codes, atol=2e-5)
    np.testing.assert_allclose(sae.decode(ours, modality), decoded, atol=2e-5)


def test_without_a_standardiser_the_numbers_are_the_same_bits(tmp_path):
    sae = random_sae()
    save_saelens(sae, tmp_path)
    theirs = load_file(tmp_path / "sae_weights.safetensors")
    assert torch.equal(theirs["W_enc"], sae.W_enc.T)
    assert torch.equal(theirs["W_dec"], sae.W_dec)
    assert torch.equal(theirs["b_enc"], sae.b_enc)
    assert torch.equal(theirs["b_dec"], sae.b_pre)


def test_one_file_cannot_hold_two_standardisers(tmp_path):
    with pytest.raises(ModalensError, match="each modality on its own"):
        save_saelens(random_sae(standardise="per_modality"), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("standardise", ["none", "shared"])
def test_saelens_opens_it_and_agrees(kind, standardise, tmp_path):
    sae_lens = pytest.importorskip("sae_lens", reason="sae-lens is not installed")
    sae, x = random_sae(kind, standardise), embeddings()
    save_saelens(sae, tmp_path / "ours")
    theirs = sae_lens.SAE.load_from_disk(tmp_path / "ours")
    assert theirs.cfg.architecture() == ("jumprelu" if kind == "batch_topk" else "topk")
    with torch.no_grad():
        codes = theirs.encode(torch.from_numpy(x))
        decoded = theirs.decode(codes)
    ours = sae.encode(x)
    assert np.array_equal(ours.toarray() > 0, codes.numpy() > 0)
    np.testing.assert_allclose(ours.toarray(), codes.numpy(), atol=2e-5)
    np.testing.assert_allclose(sae.decode(sp.csr_array(codes.numpy())), decoded.numpy(), atol=2e-5)
    theirs.save_model(tmp_path / "theirs")
    again = load_file(tmp_path / "theirs" / "sae_weights.safetensors")
    for name, tensor in load_file(tmp_path / "ours" / "sae_weights.safetensors").items():
        assert torch.equal(again[name], tensor)


def test_a_trained_autoencoder_goes_through(tmp_path, rng):
    image, text = rng.standard_normal((2, 300, D)).astype(np.float32)
    sae = ml.TopKSAE.fit(
        (image, text), n_features=F, k=K, train=ml.features.TrainConfig(steps=20, batch_size=64)
    )
    save_saelens(sae, tmp_path)
    codes, decoded = read_as_theirs(tmp_path, image)
    np.testing.assert_allclose(sae.encode(image).toarray(), codes, atol=2e-5)
    np.testing.assert_allclose(sae.decode(sae.encode(image)), decoded, atol=2e-5)
