"""One autoencoder over more than two modalities."""

import numpy as np
import pytest
import torch

import modalens as ml
from modalens.errors import ModalensError
from modalens.features import SAEConfig, TrainConfig, train
from modalens.features.batches import PairBatches
from modalens.features.evaluation import Sample
from tests.dominance.planted_several import NAMES, plant_several

TRAIN = TrainConfig(steps=400, batch_size=512, log_every=200)


def test_batches_keep_samples_together():
    rows = np.arange(2000.0)[:, None] * np.ones(3)
    for batch in (next(PairBatches(rows, -rows, 64, 0, others=(2 * rows, 3 * rows)).from_step(5)),):
        image, text, third, fourth = batch
        assert torch.equal(text, -image)
        assert torch.equal(third, 2 * image)
        assert torch.equal(fourth, 3 * image)
    as_ever = next(PairBatches(rows, -rows, 64, 0).from_step(5))
    assert torch.equal(as_ever[0], image)
    with pytest.raises(ModalensError, match="modality 3"):
        PairBatches(rows, rows, 64, 0, others=(rows[1:],))


def test_planted_classes_are_found_by_one_autoencoder():
    planted = plant_several(n=6000, d=64)
    sides = tuple(planted.sides)
    sae = ml.TopKSAE.fit(sides, n_features=len(planted.labels), k=3, train=TRAIN)
    # Samples with fewer than k concepts have weak features beside, which the mean over samples counts in full.
    codes = tuple(map(sae.encode, sides))
    mds = ml.modality_dominance(codes, estimator="energy_ratio", modalities=NAMES, resamples=0)
    cosines = sae.W_dec.numpy() @ planted.atoms.T
    matched = (cosines.max(axis=1) > 0.9) & (mds.labels != "dead")
    assert matched.sum() > 0.8 * len(planted.labels)
    assert (mds.labels[matched] == planted.labels[cosines.argmax(axis=1)[matched]]).mean() >= 0.95


@pytest.mark.parametrize("kind", ["topk", "batch_topk", "matryoshka", "aligned"])
def test_every_kind_of_autoencoder_takes_three(kind, tmp_path):
    sides = tuple(plant_several(n=300).sides)
    config = SAEConfig(d=48, n_features=32, k=3, kind=kind, standardise="shared")
    how = TrainConfig(steps=20, batch_size=64, log_every=10, checkpoint_every=10)
    (trained,) = train([config], sides, how, out=tmp_path)
    assert {"fvu_image", "fvu_text", "fvu_modality_3"} <= set(trained.log[-1]["train"])
    codes = [trained.model.encode(side, name) for side, name in zip(sides, NAMES, strict=True)]
    assert all(each.shape == (300, 32) for each in codes)
    opened = ml.load_features(tmp_path)
    assert (opened.encode(sides[2]) != codes[2]).nnz == 0


def test_a_third_modality_changes_what_is_learned():
    sides = tuple(plant_several(n=300).sides)
    how = {"n_features": 32, "k": 3, "steps": 20, "batch_size": 64}
    two = ml.TopKSAE.fit(sides[:2], **how)
    three = ml.TopKSAE.fit(sides, **how)
    again = ml.TopKSAE.fit(list(sides), **how)
    assert not torch.equal(two.W_dec, three.W_dec)
    assert torch.equal(three.W_dec, again.W_dec)
    assert list(Sample.draw(*sides[:2], 10, 0, sides[2:]).sides) == ["image", "text", "modality_3"]


def test_what_is_for_two_modalities_alone_says_so():
    sides = tuple(plant_several(n=60).sides)
    with pytest.raises(ModalensError, match="more than two modalities only these can be trained: topk"):
        ml.NCL.fit(sides, n_features=8, steps=1)
    with pytest.raises(ModalensError, match="none is standardised on its own"):
        ml.TopKSAE.fit(sides, n_features=8, k=2, steps=1, standardise="per_modality")
