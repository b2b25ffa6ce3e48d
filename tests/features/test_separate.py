"""An autoencoder for each modality: trained apart, matched right, and used as one dictionary."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.torch import load_file

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig, load_features, separate, train
from modalens.features.learners import SAELearner
from modalens.features.saelens import save_saelens
from modalens.features.separate import SeparateLearner, SeparateSAE, common_indices, match_codes

D, F, K = 8, 24, 3
SCHEDULE = TrainConfig(steps=40, batch_size=64, lr=0.01, warmup_steps=1, log_every=20, checkpoint_every=10)


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sparse sums of concepts that images write along other directions than texts."""
    codes = rng.uniform(0.5, 1.5, (600, 10)) * (rng.random((600, 10)) < 0.2)
    image, text = (codes @ rng.standard_normal((2, 10, D))).astype(np.float32)
    return image + 2, text - 2


@pytest.fixture
def trained(pairs: tuple[np.ndarray, np.ndarray]) -> SeparateSAE:
    schedule = TrainConfig(steps=300, batch_size=200)
    found = train([SAEConfig(D, F, K, "separate")], pairs, schedule)[0].model
    assert isinstance(found, SeparateSAE)
    return found


def test_features_that_answer_to_the_same_pairs_are_matched(rng: np.random.Generator) -> None:
    image = rng.random((500, 6)) * (rng.random((500, 6)) < 0.2)
    order = np.array([3, 1, 4, 0, 2, 5])
    text = image[:, order] * rng.uniform(0.8, 1.2, (500, 6))
    text[:, 5] = rng.random(500) * (rng.random(500) < 0.2)  # the partner of image feature 5 is none
    found = match_codes(sp.csr_array(image), sp.csr_array(text), 0.3)
    np.testing.assert_array_equal(found, [3, 1, 4, 0, 2, -1])


def test_the_best_assignment_is_taken_and_beyond_it_what_is_mutual(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = rng.random((400, 3)) * (rng.random((400, 3)) < 0.4)
    image = base.copy()
    text = base[:, [1, 2, 0]].copy()
    wanted = [2, 0, 1]
    assert match_codes(sp.csr_array(image), sp.csr_array(text), 0.3).tolist() == wanted
    monkeypatch.setattr(separate, "_ASSIGNED", 2)
    assert match_codes(sp.csr_array(image), sp.csr_array(text), 0.3).tolist() == wanted


def test_correlations_are_the_plain_ones(rng: np.random.Generator) -> None:
    image, text = rng.random((2, 50, 4)) * (rng.random((2, 50, 4)) < 0.6)
    text[:, 1] += 0.5 * image[:, 2]
    plain = np.corrcoef(image.T, text.T)[:4, 4:]
    for least in (plain[2, 1] - 1e-9, plain[2, 1] + 1e-9):
        found = match_codes(sp.csr_array(image), sp.csr_array(text), float(least))
        assert (found[2] == 1) == (least < plain[2, 1])


def test_what_fires_together_by_chance_or_never_is_not_matched() -> None:
    image, text = np.zeros((2, 1000, 2))
    image[:4, 0] = text[:4, 0] = 1  # four pairs are too few
    image[:5, 1] = text[:5, 1] = 1
    assert match_codes(sp.csr_array(image), sp.csr_array(text), 0.3).tolist() == [-1, 1]


def test_every_feature_has_one_index() -> None:
    image, text = common_indices(np.array([2, -1, 0, -1]))
    assert image.tolist() == [0, 2, 1, 3]
    assert text.tolist() == [1, 4, 0, 5]


def test_the_two_are_what_each_would_be_alone(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    learner = SeparateLearner.for_data(SAEConfig(D, F, K, "separate"), *pairs)
    sides = [torch.from_numpy(x) for x in pairs]
    learner.initialise(*sides)
    alone = []
    for name, x in zip(("image", "text"), sides, strict=True):
        own = learner.sides[name]
        assert isinstance(own, SAELearner)
        assert own.config.n_features == F // 2
        torch.testing.assert_close(own.b_pre.detach(), x.mean(dim=0))
        codes = torch.relu((x - own.b_pre) @ own.W_enc.T + own.b_enc)
        codes = codes * torch.zeros_like(codes).scatter(1, codes.topk(K).indices, 1.0)
        alone.append((x - codes @ own.W_dec - own.b_pre).square().sum() / len(x))
    torch.testing.assert_close(learner.loss(*sides).total, alone[0] + alone[1])
    assert not torch.equal(learner.sides["image"].W_dec, learner.sides["text"].W_dec)


def test_matched_features_share_an_index_and_others_fire_on_their_own_side(
    trained: SeparateSAE, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    codes = [trained.encode(x, name).toarray() for x, name in zip(pairs, ("image", "text"), strict=True)]
    mds = ml.modality_dominance(*codes, resamples=0)
    written = [trained.state()["W_dec"][row].any(dim=1).numpy() for row in range(2)]
    both = written[0] & written[1]
    assert both.sum() >= 5
    assert both[: both.sum()].all()
    assert not codes[0][:, ~written[0]].any()
    assert not codes[1][:, ~written[1]].any()
    assert (~written[0] & ~written[1]).sum() == both.sum()
    for index in np.flatnonzero(both):
        assert np.corrcoef(codes[0][:, index], codes[1][:, index])[0, 1] > 0.3
    live = mds.labels != "dead"
    assert set(mds.labels[live & ~both]) <= {"image", "text"}


def test_each_modality_is_decoded_by_its_own(
    trained: SeparateSAE, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    state = trained.state()
    for row, (x, name) in enumerate(zip(pairs, ("image", "text"), strict=True)):
        centred = x - state["mean"][row].numpy() - state["b_pre"][row].numpy()
        active = np.maximum(centred @ state["W_enc"][row].numpy().T + state["b_enc"][row].numpy(), 0)
        least = np.sort(active, axis=1)[:, -K][:, None]
        wanted = np.where(active >= least, active, 0)
        codes = trained.encode(x, name)
        np.testing.assert_allclose(codes.toarray(), wanted, atol=1e-5)
        np.testing.assert_allclose(
            trained.encode_tensor(torch.from_numpy(x), name).numpy(), wanted, atol=1e-5
        )
        back = wanted @ state["W_dec"][row].numpy() + state["b_pre"][row].numpy() + state["mean"][row].numpy()
        np.testing.assert_allclose(trained.decode(codes, name), back, atol=1e-4)
    norms = trained.W_dec.norm(dim=1)
    assert set(norms.round(decimals=4).tolist()) <= {0.0, 1.0}


def test_a_feature_that_a_modality_has_not_is_written_along_the_other(trained: SeparateSAE) -> None:
    state = trained.state()["W_dec"]
    only_text = int(torch.nonzero(state[1].any(dim=1) & ~state[0].any(dim=1))[0])
    torch.testing.assert_close(trained.directions("image")[only_text], state[1, only_text])
    torch.testing.assert_close(trained.directions()[only_text], state[1, only_text])


def test_saelens_and_edits_take_one_modality_of_it(
    trained: SeparateSAE, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    save_saelens(trained, tmp_path, "text")
    theirs = load_file(tmp_path / "sae_weights.safetensors")
    state = trained.state()
    torch.testing.assert_close(theirs["W_enc"].T, state["W_enc"][1])
    torch.testing.assert_close(theirs["b_dec"], state["b_pre"][1])
    edited = ml.Edit((0,), 0.0, trained, "text").apply(pairs[1])
    activation = trained.encode(pairs[1], "text").toarray()[:, :1]
    np.testing.assert_allclose(edited, pairs[1] - activation * state["W_dec"][1, 0].numpy(), atol=1e-4)


def test_it_is_saved_and_needs_the_modality(
    trained: SeparateSAE, pairs: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    trained.save(tmp_path)
    again = load_features(tmp_path)
    assert type(again) is SeparateSAE
    assert again.card() == trained.card()
    assert (again.encode(pairs[0], "image") != trained.encode(pairs[0], "image")).nnz == 0
    for wrong in (None, "sound"):
        with pytest.raises(ModalensError, match=r"modality|say which"):
            again.encode(pairs[0], wrong)
    with pytest.raises(ModalensError, match="at most 2"):
        SAEConfig(D, 4, 3, "separate")
