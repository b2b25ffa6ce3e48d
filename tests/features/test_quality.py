import json

import numpy as np
import pytest

from modalens.dominance.retrieval import measure_retrieval
from modalens.features import NCL, SAEConfig, TopKSAE, TrainConfig, train
from modalens.features.quality import Quality, measure_quality
from modalens.store.documents import nan_to_null

RNG = np.random.default_rng(0)
SHARED = RNG.normal(size=(120, 12))
IMAGE = (SHARED + 0.3 * RNG.normal(size=(120, 12))).astype(np.float32)
TEXT = (SHARED + 0.3 * RNG.normal(size=(120, 12)) + 1).astype(np.float32)
QUICK = TrainConfig(steps=30, batch_size=64, log_every=30)


@pytest.fixture(scope="module")
def sae():
    return TopKSAE.fit((IMAGE, TEXT), n_features=24, k=4, train=QUICK)


def test_quality_is_what_plain_formulas_give(sae):
    found = measure_quality(sae, IMAGE, TEXT)
    for name, x in (("image", IMAGE), ("text", TEXT)):
        codes = sae.encode(x).toarray()
        error = ((x - sae.decode(codes)) ** 2).sum()
        spread = ((x - x.mean(axis=0)) ** 2).sum()
        assert found.fvu[name][0] == pytest.approx(error / spread, rel=1e-4)
        assert found.fvu[name][1] < found.fvu[name][0] < found.fvu[name][2]
        assert found.variance[name] == pytest.approx(spread / len(x), rel=1e-4)
        assert found.active[name] == (codes > 0).any(axis=0).sum()
        assert found.per_sample[name] == pytest.approx((codes > 0).sum() / len(x))
    assert found.before == measure_retrieval(IMAGE, TEXT)
    assert found.after == measure_retrieval(sae.decode(sae.encode(IMAGE)), sae.decode(sae.encode(TEXT)))
    assert Quality.from_dict(found.to_dict()) == found


def test_pairs_of_one_group_widen_the_interval(sae):
    copies = np.repeat(np.arange(30), 4)
    image, text = np.repeat(IMAGE[:30], 4, axis=0), np.repeat(TEXT[:30], 4, axis=0)
    alone = measure_quality(sae, image, text).fvu["image"]
    together = measure_quality(sae, image, text, groups=copies).fvu["image"]
    assert together[0] == pytest.approx(alone[0], rel=1e-12)
    assert together[2] - together[1] > 1.5 * (alone[2] - alone[1])


def test_retrieval_before_is_what_scores_give(sae):
    images = np.repeat(np.arange(40), 3)  # three texts an image
    found = measure_quality(sae, IMAGE, TEXT, image_ids=images, max_pairs=60, seed=2)
    assert found.before == measure_retrieval(IMAGE, TEXT, image_ids=images, max_pairs=60, seed=2)
    assert (found.before.n, found.before.texts) == (20, 60)


def test_a_projector_does_not_reconstruct():
    ncl = NCL.fit((IMAGE, TEXT), n_features=16, train=QUICK)
    found = measure_quality(ncl, IMAGE, TEXT, max_pairs=50)
    assert found.fvu == {}
    assert found.pairs == 50
    assert found.after.n == 50


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_variance_unexplained_of_constant_embeddings_is_undefined(sae, value):
    constant = np.full_like(TEXT, value)
    found = measure_quality(sae, IMAGE, constant)
    assert np.isnan(found.fvu["text"]).all()
    assert np.isfinite(found.fvu["image"]).all()
    back = Quality.from_dict(json.loads(json.dumps(nan_to_null(found.to_dict()))))
    assert np.isnan(back.fvu["text"]).all()
    (trained,) = train([SAEConfig(12, 24, 4)], (IMAGE, constant), QUICK)
    assert trained.log[-1]["train"]["fvu_text"] is None
    assert trained.log[-1]["train"]["fvu_image"] > 0
