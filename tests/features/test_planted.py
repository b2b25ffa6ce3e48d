"""Known features are found again, with the class they were planted with."""

from dataclasses import replace

import numpy as np
import pytest

import modalens as ml
from modalens.features import TrainConfig
from tests.features.planted import plant, plant_offset

TRAIN = TrainConfig(steps=500, batch_size=512, log_every=500)


@pytest.fixture(scope="module")
def planted():
    data = plant()
    return data, ml.TopKSAE.fit((data.image, data.text), n_features=120, k=6, train=TRAIN)


def test_the_dictionary_is_recovered(planted):
    data, sae = planted
    cosines = data.atoms @ sae.W_dec.numpy().T
    assert cosines.max(axis=1).mean() > 0.9
    start = ml.TopKSAE.fit(
        (data.image, data.text), n_features=120, k=6, train=TrainConfig(steps=1, batch_size=512)
    )
    assert (data.atoms @ start.W_dec.numpy().T).max(axis=1).mean() < 0.5


@pytest.mark.parametrize("rule", ["mu_sigma", "twofold"])
def test_features_have_the_class_of_their_atom(planted, rule):
    data, sae = planted
    mds = ml.modality_dominance(sae.encode(data.image), sae.encode(data.text), rule=rule, resamples=20)
    cosines = sae.W_dec.numpy() @ data.atoms.T
    matched = (cosines.max(axis=1) > 0.9) & (mds.labels != "dead")
    assert matched.sum() > 90
    right = mds.labels[matched] == data.owner[cosines.argmax(axis=1)[matched]]
    assert right.mean() >= 0.95
    other = ml.modality_dominance(sae.encode(data.text), sae.encode(data.image), rule=rule, resamples=0)
    assert (other.labels[matched] == data.owner[cosines.argmax(axis=1)[matched]]).mean() < 0.6


@pytest.mark.slow
def test_the_aligned_kind_shares_more_at_equal_reconstruction():
    shared, unexplained = np.zeros((2, 2)), np.zeros((2, 2))
    for seed in range(2):
        pairs = plant_offset(seed=seed)
        for row, (kind, options) in enumerate(((ml.TopKSAE, {}), (ml.AlignedSAE, {"align_lambda": 0.3}))):
            sae = kind.fit(pairs, n_features=160, k=6, seed=seed, train=replace(TRAIN, seed=seed), **options)
            codes = [sae.encode(side) for side in pairs]
            shared[row, seed] = ml.modality_dominance(*codes, rule="twofold", resamples=0).counts()["cross"]
            errors = [
                np.square(sae.decode(z) - x).sum() / np.square(x - x.mean(axis=0)).sum()
                for z, x in zip(codes, pairs, strict=True)
            ]
            unexplained[row, seed] = np.mean(errors)
    # Another order of the pairs moves the unexplained variance by up to 5 %.
    assert (shared[1] >= 1.15 * shared[0]).all()
    assert unexplained[1].mean() <= 1.08 * unexplained[0].mean()


@pytest.mark.slow
def test_some_kinds_heal_more_split_concepts_than_topk():
    kinds = ("topk", "shared_topk", "group_sparse", "separate")
    small = {"pairs": 3000, "held_out": 1000, "steps": 300}
    board = ml.benchmark_planted(worlds=("cones",), learners=kinds, seeds=1, **small)
    healed = {kind: float(board.values("split_healed", "cones", kind)[0]) for kind in kinds}
    for kind in kinds[1:]:
        assert healed[kind] > healed["topk"] + 0.15, healed
    unexplained = {kind: float(board.values("unexplained", "cones", kind)[0]) for kind in kinds}
    assert unexplained["separate"] < 1.3 * unexplained["topk"]
