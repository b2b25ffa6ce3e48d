import dataclasses
import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import NCL, NCLConfig, SAEConfig, SparseAutoencoder, TrainConfig
from modalens.features.config import STANDARDISATIONS
from modalens.features.learners import SAELearner
from modalens.features.ncl import NCLLearner
from modalens.features.sae import Standardiser, TopKSAE
from tests.features.kinds import LINEAR

D, F, K = 6, 20, 3


def random_learner(kind="topk", standardise="none", seed=0):
    """A learner whose every tensor is random, as after training."""
    generator = torch.Generator().manual_seed(seed)
    standard = Standardiser(
        torch.randn(2, D, generator=generator), torch.rand(2, D, generator=generator) + 0.5
    )
    learner = SAELearner(SAEConfig(D, F, K, kind, standardise), None if standardise == "none" else standard)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    learner.after_step()
    learner.threshold.fill_(0.4)
    return learner


def pairs(n=50, seed=1):
    return np.random.default_rng(seed).standard_normal((2, n, D)).astype(np.float32)


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("standardise", STANDARDISATIONS)
def test_saved_and_loaded_gives_the_same_bits(kind, standardise, tmp_path):
    sae = random_learner(kind, standardise).export()
    sae.save(tmp_path)
    again = SparseAutoencoder.load(tmp_path)
    assert type(again) is type(sae)
    assert again.config == sae.config
    for x, modality in zip(pairs(), ("image", "text"), strict=True):
        one, other = sae.encode(x, modality), again.encode(x, modality)
        for part in ("data", "indices", "indptr"):
            assert np.array_equal(getattr(one, part), getattr(other, part))
        assert np.array_equal(sae.decode(one, modality), again.decode(other, modality))
    assert {path.name for path in tmp_path.iterdir()} == {"sae.safetensors", "config.json"}


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("standardise", STANDARDISATIONS)
def test_codes_and_reconstructions_are_the_equations(kind, standardise):
    learner = random_learner(kind, standardise)
    sae = learner.export()
    for row, (x, modality) in enumerate(zip(pairs(), ("image", "text"), strict=True)):
        mean, scale = learner.mean[row].numpy(), learner.scale[row].numpy()
        z = ((x - mean) / scale - sae.b_pre.numpy()) @ sae.W_enc.numpy().T + sae.b_enc.numpy()
        z = np.maximum(z, 0)
        if kind == "batch_topk":
            z[z <= 0.4] = 0
        else:
            z[z < np.sort(z, axis=1)[:, [-K]]] = 0
        codes = sae.encode(x, modality)
        assert sp.issparse(codes)
        assert codes.format == "csr"
        np.testing.assert_allclose(codes.toarray(), z, atol=1e-5)
        x_hat = (z @ sae.W_dec.numpy() + sae.b_pre.numpy()) * scale + mean
        np.testing.assert_allclose(sae.decode(codes, modality), x_hat, atol=1e-4)
        output, fired, reconstructs = learner.represent(torch.from_numpy(x), modality)
        np.testing.assert_allclose(output.numpy(), x_hat, atol=1e-4)
        assert fired.tolist() == (z > 0).sum(axis=0).tolist()
        assert reconstructs


def test_every_kind_of_matrix_encodes_alike():
    sae = random_learner().export()
    x = pairs(n=5000)[0]
    plain = sae.encode(x).toarray()
    for other in (torch.from_numpy(x), sp.csr_array(x), x.astype(np.float64)):
        assert np.array_equal(sae.encode(other).toarray(), plain)
    assert sum(block.shape[0] for block in sae.encode_blocks(x)) == 5000
    np.testing.assert_allclose(sae.decode(sae.encode(x)), sae.decode(plain), atol=1e-5)


def test_inference_holds_no_training_state(tmp_path):
    sae = random_learner().export()
    sae.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["config"] == dataclasses.asdict(sae.config)
    assert not sae.W_enc.requires_grad
    assert torch.allclose(torch.linalg.vector_norm(sae.W_dec, dim=1), torch.ones(F))


def test_bad_use_is_said_in_a_sentence(tmp_path):
    sae = random_learner(standardise="per_modality").export()
    x = pairs()[0]
    with pytest.raises(ModalensError, match="has 5 features; this TopKSAE was trained on 6"):
        sae.encode(x[:, :5], "image")
    with pytest.raises(ModalensError, match="say which one this is"):
        sae.encode(x)
    with pytest.raises(ModalensError, match="no modality 'sound'"):
        sae.encode(x, "sound")
    with pytest.raises(ModalensError, match="codes have 6 features, the dictionary 20"):
        sae.decode(x, "image")
    with pytest.raises(ModalensError, match="NaN or infinite value in row 3"):
        sae.encode(np.where(np.arange(50)[:, None] == 3, np.nan, x), "image")
    with pytest.raises(ModalensError, match="holds no trained features"):
        ml.TopKSAE.load(tmp_path)
    sae.save(tmp_path)
    with pytest.raises(ModalensError, match="holds TopKSAE features, not AlignedSAE"):
        ml.AlignedSAE.load(tmp_path)
    (tmp_path / "sae.safetensors").write_bytes((tmp_path / "sae.safetensors").read_bytes()[:-50])
    with pytest.raises(ModalensError, match="cannot be read"):
        ml.TopKSAE.load(tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"k": 21}, "k is 21 and n_features 20"),
        ({"k": 0}, "k is 0"),
        ({"n_features": -1}, "n_features is -1"),
        ({"standardise": "both"}, "no standardise 'both'; choose one of none, shared, per_modality"),
        ({"aux_coefficient": float("nan")}, "aux_coefficient is nan"),
        ({"colour": 1}, "has no option 'colour'; it takes align_lambda"),
    ],
)
def test_bad_settings(options, sentence):
    image, text = pairs()
    with pytest.raises(ModalensError, match=sentence):
        ml.TopKSAE.fit((image, text), **{"n_features": 20, "k": 3, **options})


def test_the_projector_is_non_negative_sparse_and_survives_the_disk(tmp_path):
    learner = NCLLearner(NCLConfig(D, 16))
    ncl = learner.export()
    ncl.save(tmp_path)
    x = pairs()[0]
    codes = ncl.encode(x)
    assert codes.shape == (50, 16)
    assert codes.data.min() > 0
    assert 0 < codes.nnz < 50 * 16
    again = NCL.load(tmp_path).encode(x)
    assert np.array_equal(codes.toarray(), again.toarray())
    by_hand = learner.projector.layers(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(codes.toarray(), by_hand, atol=1e-6)
    with pytest.raises(ModalensError, match="trained on 6"):
        ncl.encode(x[:, :4])
    with pytest.raises(ModalensError, match="temperature is 0"):
        NCL.fit(pairs(), n_features=4, temperature=0)


def test_the_projector_learns_to_find_pairs():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((600, 8))
    image, text = (shared @ rng.standard_normal((8, 12)) for _ in range(2))
    found = []
    for steps in (1, 300):
        how = {"steps": steps, "batch_size": 200, "log_every": 300, "warmup_steps": 10, "lr": 3e-3}
        ncl = NCL.fit((image, text), n_features=32, **how)
        sides = [ncl.encode(side).toarray() for side in (image, text)]
        units = [side / (np.linalg.norm(side, axis=1, keepdims=True) + 1e-9) for side in sides]
        found.append(((units[0] @ units[1].T).argmax(axis=1) == np.arange(600)).mean())
    assert found[1] > 0.6 > 10 * found[0]


def test_options_of_the_training_are_options_of_fit():
    image, text = pairs()
    how = {"steps": 5, "batch_size": 16, "warmup_steps": 2}
    one = ml.TopKSAE.fit((image, text), n_features=F, k=K, seed=3, **how)
    other = ml.TopKSAE.fit((image, text), n_features=F, k=K, seed=3, train=TrainConfig(**how, seed=3))
    mixed = ml.TopKSAE.fit((image, text), n_features=F, k=K, seed=3, train=TrainConfig(seed=3), **how)
    assert torch.equal(one.W_enc, other.W_enc)
    assert torch.equal(one.W_enc, mixed.W_enc)
    with pytest.raises(ModalensError, match="steps is 0"):
        ml.NCL.fit((image, text), steps=0)


@pytest.mark.parametrize("kind", [*LINEAR, "ncl"])
def test_tensors_go_in_and_out_with_gradients(kind):
    model = NCLLearner(NCLConfig(D, F)).export() if kind == "ncl" else random_learner(kind, "shared").export()
    x = torch.from_numpy(pairs()[0]).requires_grad_()
    codes = model.encode_tensor(x, "image")
    np.testing.assert_allclose(codes.detach().numpy(), model.encode(x, "image").toarray(), atol=1e-6)
    weights = torch.randn(codes.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((codes * weights).sum(), x)
    along = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ends = [
            (model.encode_tensor(x + sign * 1e-3 * along, "image") * weights).sum(dim=1) for sign in (1, -1)
        ]
    slopes = (ends[0] - ends[1]) / 2e-3
    # All but the few samples whose set of active features changes within the step.
    assert ((gradient * along).sum(dim=1) - slopes).abs().median() < 1e-3
    with pytest.raises(ModalensError, match="trained on 6"):
        model.encode_tensor(x[:, :4], "image")


def test_features_encode_wherever_they_are():
    sae = random_learner().export()
    x = pairs()[0]
    assert sae.to("cpu") is sae
    assert sae.device.type == "cpu"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plain = sae.encode(x).toarray()
    np.testing.assert_allclose(sae.to(device).encode(x).toarray(), plain, atol=1e-4)
    assert sae.encode_tensor(torch.from_numpy(x)).device.type == device.type


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])])
@pytest.mark.parametrize("kind", ["topk", "batch_topk"])
def test_a_device_selects_what_compiled_code_selects(kind, device):
    sae, x = random_learner(kind).export(), pairs(600)[0]
    compiled = sae.encode(x)
    with torch.inference_mode():
        selected = sae.to(device)._selected(sae._centred(torch.from_numpy(x).to(device), None))
    assert np.array_equal(selected.indptr, compiled.indptr)
    assert np.array_equal(selected.indices, compiled.indices)
    np.testing.assert_allclose(selected.data, compiled.data, rtol=1e-4, atol=1e-6)


def test_files_name_their_folder(tmp_path):
    sae = random_learner().export()
    sae.save(tmp_path)
    for where in (tmp_path, tmp_path / "config.json", tmp_path / "sae.safetensors"):
        assert ml.load_features(where).card() == sae.card()


@pytest.mark.parametrize(("f", "k"), [(1, 1), (130, 5), (200, 64), (70, 70)])
def test_the_strongest_activations_are_those_of_a_sort_on_any_number_of_cores(f, k, rng, monkeypatch):
    x = rng.normal(size=(60, f)).round(1).astype(np.float32)  # ties
    tensors = {"W_enc": torch.eye(f), "W_dec": torch.eye(f), "b_enc": torch.zeros(f), "b_pre": torch.zeros(f)}
    tensors |= {"mean": torch.zeros(2, f), "scale": torch.ones(2, f)}
    sae = TopKSAE(SAEConfig(d=f, n_features=f, k=k), tensors)
    wanted = np.zeros_like(x)
    best = np.argsort(-x, axis=1, kind="stable")[:, :k]
    np.put_along_axis(wanted, best, np.maximum(np.take_along_axis(x, best, 1), 0), 1)
    for cores in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        codes = sae.encode(x)
        np.testing.assert_array_equal(codes.toarray(), wanted)
        assert codes.has_canonical_format
        assert (codes.data > 0).all()
