from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from scipy.stats import false_discovery_control

import modalens as ml
from modalens.dominance import modality_dominance
from modalens.features import TrainConfig
from modalens.interpret import partners as partners_module
from modalens.interpret.bridge_null import ChanceOfBest, shuffled_orders
from modalens.interpret.bridges import bridges
from tests.interpret.naive_bridges import naive_partners, scores
from tests.interpret.planted_codes import plant_codes, plant_embeddings

# Bridges and verdicts


def test_partners_equal_a_naive_loop(links, planted):
    image, text = planted.image.toarray(), planted.text.toarray()
    expected = naive_partners(image, text, planted.decoder, links.labels, 5)
    for i in range(len(links.labels)):
        listed = expected.get(i, [])
        kept = [entry[2] for entry in listed]
        assert links.partners[i].tolist() == kept + [-1] * (5 - len(kept))
        for place, (bridge, r, _) in enumerate(listed):
            assert links.bridges[i, place] == pytest.approx(bridge, abs=1e-6)  # cosines are float32
            assert links.correlations[i, place] == pytest.approx(r, abs=1e-12)
            assert links.geometries[i, place] == pytest.approx(bridge / r, abs=1e-6)
    np.testing.assert_array_equal(links.partner, links.partners[:, 0])
    np.testing.assert_array_equal(links.bridge, links.bridges[:, 0])


def test_null_equals_naive_shuffles(planted):
    """p-values from the null that plain correlations of shuffled pairs give."""
    few = plant_codes(n=400, splits=4, private=4, shared=2, rates=(0.05, 0.2), seed=5)
    links = bridges(few.image, few.text, few.decoder, few.mds, seed=4, shuffles=100)
    image, text = few.image.toarray(), few.text.toarray()
    one_sided = np.r_[np.flatnonzero(links.labels == "image"), np.flatnonzero(links.labels == "text")]

    def best(order):
        listed = naive_partners(image, text[order], few.decoder, links.labels, 1)
        return np.array([listed[i][0][0] if listed[i] else 0.0 for i in one_sided])

    null = np.stack([best(order) for order in list(shuffled_orders(np.arange(400), 101, seed=4))[1:]])
    p = ChanceOfBest(null).p_values(best(np.arange(400)))
    np.testing.assert_allclose(links.p_value[one_sided], p, atol=2.1 / (50 * len(one_sided)))
    np.testing.assert_allclose(links.q_value[one_sided], false_discovery_control(links.p_value[one_sided]))


@pytest.mark.parametrize("has_decoder", [True, False])
@pytest.mark.parametrize(
    "kind", [{}, {"rates": (0.003, 0.02)}, {"splits": 5, "private": 120}, {"kept": 0.7, "n": 4000}]
)
def test_planted_split_and_private_features_get_their_verdicts(kind, has_decoder):
    right: dict[str, list[Any]] = {"split": [], "private": []}
    partner: list[Any] = []
    for seed in range(3):
        planted = plant_codes(**kind, seed=seed)
        decoder = planted.decoder if has_decoder else None
        links = bridges(planted.image, planted.text, decoder, planted.mds, seed=seed)
        for name, listed in right.items():
            wanted = (planted.truth == name) & (links.verdict != "")
            assert wanted.sum() > 0.9 * (planted.truth == name).sum()
            assert "private" not in links.verdict[wanted & (planted.truth == "split")]
            # What fires in a few pairs shows no partner and rules none out.
            fires = np.maximum(np.diff(planted.image.tocsc().indptr), np.diff(planted.text.tocsc().indptr))
            clear = wanted & ((name == "split") | (fires >= 100))
            listed.extend(links.verdict[clear] == name)
            if name == "split":
                partner.extend((links.partner == planted.partner)[wanted])
    assert np.mean(right["split"]) >= 0.95
    assert not right["private"] or np.mean(right["private"]) >= 0.95
    assert np.mean(partner) >= 0.95


def test_features_of_a_trained_autoencoder_get_the_verdicts_of_what_was_planted():
    planted = plant_embeddings()
    sae = ml.TopKSAE.fit(
        (planted.image, planted.text),
        n_features=48,
        k=6,
        train=TrainConfig(steps=900, batch_size=256, log_every=900),
    )
    codes = sae.encode(planted.image, "image"), sae.encode(planted.text, "text")
    mds = modality_dominance(*codes, rule="twofold", resamples=0)
    links = bridges(*codes, sae.W_dec, mds)
    cosine = sae.W_dec.numpy() @ planted.atoms.T
    found = np.where(cosine.max(axis=1) > 0.8, planted.truth[cosine.argmax(axis=1)], "")
    for name in ("split", "private"):
        features = (found == name) & (links.verdict != "")
        assert features.sum() >= 12
        assert (links.verdict[features] == name).mean() >= 0.9
    assert links.shuffled_counts()["image"]["split"] == 0


def test_shuffled_pairs_split_nothing_beyond_the_stated_rate():
    """Where every pair is shuffled each discovery is false, so at most a share fdr of runs may have any."""
    runs = np.zeros(40, dtype=bool)
    beats = np.zeros(40, dtype=bool)
    for seed in range(40):
        planted = plant_codes(n=1000, splits=20, private=20, shared=5, rates=(0.001, 0.05), seed=seed)
        text = planted.text[np.random.default_rng(seed + 1000).permutation(1000)]
        links = bridges(planted.image, text, planted.decoder, planted.mds, seed=seed, shuffles=100)
        runs[seed] = (links.verdict == "split").any()
        beats[seed] = (links.q_value <= 0.05).any()
        assert links.shuffled_counts()["image"]["split"] <= 2
    # Of 40 runs at 5 %, more than 6 has a probability under 1 %.
    assert beats.sum() <= 6
    assert runs.sum() <= 6


@pytest.mark.parametrize("kind", ["captions", "uneven"])
def test_pairs_of_one_group_are_no_independent_evidence(kind, rng):
    """With five captions an image, private features look linked unless their captions stay together."""
    sizes = (
        np.full(400, 5) if kind == "captions" else rng.permutation(np.r_[np.ones(900, int), np.arange(2, 40)])
    )
    groups = np.repeat(np.arange(len(sizes)), sizes)
    alone, together = [], []
    for seed in range(5):
        planted = plant_codes(n=len(groups), splits=0, private=60, shared=5, groups=groups, seed=seed)
        args = (planted.image, planted.text, None, planted.mds, seed)
        one_sided = planted.truth == "private"
        alone.append(bridges(*args, shuffles=100).p_value[one_sided])
        together.append(bridges(*args, groups=groups.astype(str)).p_value[one_sided])
    assert np.mean(np.array(alone) <= 0.05) > 0.5
    assert np.mean(np.array(together) <= 0.05) < 0.08


def test_a_chance_meeting_of_rare_features_is_no_split_and_one_that_never_fires_is_unclear(rng):
    """Two firing samples meet some of sixty rare features by chance, so a high correlation proves nothing."""
    image, text = np.zeros((2, 500, 64))
    image[:, 0] = rng.exponential(size=500) * (rng.random(500) < 0.2)
    image[[3, 4], 1] = 1.0
    text[:, 4:] = rng.exponential(size=(500, 60)) * (rng.random((500, 60)) < 0.01)
    links = bridges(sp.csr_array(image), sp.csr_array(text), None, scores(["image"] * 4 + ["text"] * 60))
    assert links.highest_correlation[1] > 0.3
    # Nor does it prove that there is no partner: the first meets features that fire in five samples.
    assert links.correlation_bound[0] > 0.3
    assert (links.verdict[:2] == "unclear").all()
    assert (links.verdict[2:4] == "unclear").all()  # these never fire here


def test_opposite_directions_make_no_bridge_and_no_decoder_splits_the_pair(rng):
    image = rng.exponential(size=(600, 6)) * (rng.random((600, 6)) < 0.1)
    text = np.roll(image, 3, axis=1)
    text[:, 4:] = rng.exponential(size=(600, 2)) * (rng.random((600, 2)) < 0.1)
    mds = scores(["image"] * 3 + ["text"] * 3)
    decoder = rng.normal(size=(6, 4))
    decoder[3] = -decoder[0]  # feature 0 of images fires with feature 3 of texts
    links = bridges(image, text, decoder, mds)
    assert links.highest_correlation[0] == pytest.approx(1)
    assert links.verdict[[0, 3]].tolist() == ["unclear", "unclear"]
    assert links.correlation_bound[[0, 3]].tolist() == [1, 1]
    bare = bridges(image, text, None, mds)
    assert bare.verdict[[0, 3]].tolist() == ["split", "split"]
    assert bare.partner[[0, 3]].tolist() == [3, 0]
    assert not bare.has_decoder
    assert np.isnan(bare.geometries).all()
    np.testing.assert_array_equal(bare.bridges, bare.correlations)


def test_a_real_but_weak_bridge_is_told_by_the_limit(rng):
    shared = rng.normal(size=2000)
    image, text = rng.normal(size=(2, 2000, 4))
    image[:, 0] += 0.5 * shared
    text[:, 2] += 0.5 * shared
    links = bridges(image, text, None, scores(["image", "image", "text", "text"]))
    assert 0.1 < links.correlation[0] < 0.3
    assert (links.q_value[[0, 2]] < 0.05).all()
    assert (links.correlation_bound[[0, 2]] > links.correlation[[0, 2]]).all()
    assert (links.correlation_bound[[0, 2]] < 0.3).all()
    assert (links.verdict == "private").all()  # no partner correlates by 0.3
    close = bridges(image, text, None, scores(["image", "image", "text", "text"]), min_correlation=0.22)
    assert close.verdict[[0, 2]].tolist() == ["unclear", "unclear"]
    lower = bridges(image, text, None, scores(["image", "image", "text", "text"]), min_correlation=0.1)
    assert lower.verdict[[0, 2]].tolist() == ["split", "split"]


@pytest.mark.parametrize("signed", [False, True])
def test_sparse_codes_give_what_dense_ones_do_on_any_number_of_cores(signed, rng, monkeypatch):
    """Features that fire from once to in every third pair: most pairs of them never fire together."""
    codes = rng.exponential(size=(2, 240, 60)) * (rng.random((2, 240, 60)) < np.geomspace(0.003, 0.4, 60))
    if signed:
        codes *= rng.choice([-1, 1], codes.shape)
    keys = np.repeat(np.arange(120), rng.permutation(np.repeat([1, 2, 4], [40, 60, 20])))
    labels = rng.permutation(["image", "text"] * 30)
    args = (rng.normal(size=(60, 8)), scores(labels), 2)
    dense = bridges(*codes, *args, shuffles=100, groups=keys)
    found = []
    for cores in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        found.append(bridges(*map(sp.csr_array, codes), *args, shuffles=100, groups=keys))
    pd.testing.assert_frame_equal(found[0].to_frame(), found[1].to_frame(), check_exact=True)
    for name in ("correlation_bound", "private_q_value"):
        np.testing.assert_allclose(getattr(found[0], name), getattr(dense, name), atol=1e-12)
    if not signed:  # sparse sides pass over features that never fire together, whose product is then under 0
        np.testing.assert_array_equal(found[0].partners, dense.partners)
        np.testing.assert_allclose(found[0].p_value, dense.p_value, rtol=1e-9)


def test_a_feature_that_fires_for_few_groups_is_never_private(rng):
    """Its pairs are many, but of eleven images."""
    image, text = np.zeros((2, 2000, 2))
    keys = np.arange(2000) // 20
    image[keys < 11, 0] = 1 + rng.random(220)
    text[:, 1] = rng.random(2000) * (rng.random(2000) < 0.5)
    told = [
        bridges(image, text, None, scores(["image", "text"]), groups=each).verdict[0] for each in (None, keys)
    ]
    assert told == ["private", "unclear"]


def test_codes_of_a_store_bring_their_groups(planted, monkeypatch):
    class Column:
        """A matrix that knows its groups, as columns of stores do."""

        def __init__(self, matrix, groups):
            self.matrix, self.groups, self.shape = matrix, groups, matrix.shape

        def __getitem__(self, rows):
            return self.matrix[rows]

    keys = np.arange(3000) // 5
    args = (planted.decoder, planted.mds)
    plain = bridges(planted.image, planted.text, *args, shuffles=100, groups=keys)
    known = bridges(Column(planted.image, keys), Column(planted.text, keys), *args, shuffles=100)
    pd.testing.assert_frame_equal(known.to_frame(), plain.to_frame())
    copied = [side[np.repeat(np.arange(600), 5)] for side in (planted.image, planted.text)]
    with pytest.warns(UserWarning, match="groups=") as told:
        bridges(*copied, *args, shuffles=100)
    assert len(told) == 1


def test_only_features_of_the_other_side_are_partners(links):
    for side, other in (("image", "text"), ("text", "image")):
        named = links.partners[links.labels == side]
        assert (links.labels[named[named >= 0]] == other).all()
    rest = ~np.isin(links.labels, ["image", "text"])
    assert rest.any()
    assert (links.verdict[rest] == "").all()
    assert (links.partners[rest] == -1).all()
    assert np.isnan(links.p_value[rest]).all()


# Kinds of input


def test_kinds_of_matrix_and_block_sizes_agree(planted, monkeypatch):
    decoder = planted.decoder
    whole = bridges(planted.image, planted.text, decoder, planted.mds, 7, shuffles=100)
    image, text = planted.image.toarray(), planted.text.toarray()
    dense = bridges(torch.from_numpy(image), text, torch.from_numpy(decoder), planted.mds, 7, shuffles=100)
    monkeypatch.setattr(partners_module, "_BLOCK_ENTRIES", 700)
    blocks = bridges(planted.image.tocsc(), planted.text, decoder, planted.mds, 7, shuffles=100)
    for other in (dense, blocks):
        for name in ("partner", "verdict", "shuffled_verdict"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
        np.testing.assert_allclose(other.p_value, whole.p_value, atol=1e-3)
        np.testing.assert_allclose(other.correlation, whole.correlation, atol=1e-12)
    again = bridges(planted.image, planted.text, decoder, planted.mds, 7, shuffles=100)
    assert again.to_frame().equals(blocks.to_frame())


def test_other_modalities_keep_their_names(rng):
    codes = rng.exponential(size=(2, 100, 4)) * (rng.random((2, 100, 4)) < 0.2)
    mds = scores(["audio", "audio", "caption", "dead"], ("audio", "caption"))
    links = bridges(*codes, None, mds)
    assert set(links.counts()) == {"audio", "caption"}
    assert sum(links.counts()["audio"].values()) == 2


@pytest.mark.parametrize("labels", [["cross"] * 3, ["image", "image", "dead"], ["cross", "text", "cross"]])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_a_side_without_features_has_no_partners(labels, convert, rng):
    codes = rng.exponential(size=(2, 50, 3)) * (rng.random((2, 50, 3)) < 0.5)
    links = bridges(convert(codes[0]), convert(codes[1]), rng.normal(size=(3, 4)), scores(labels))
    assert (links.partners == -1).all()
    one_sided = np.isin(labels, ["image", "text"])
    assert (links.verdict == np.where(one_sided, "private", "")).all()
    assert (links.correlation_bound[one_sided] == -1).all()
    assert (links.p_value[one_sided] == 1).all()


def test_at_most_so_many_pairs_are_used(planted):
    links = bridges(planted.image, planted.text, planted.decoder, planted.mds, max_pairs=800)
    assert links.n_pairs == 800
    split = planted.truth == "split"
    assert (links.partner == planted.partner)[split].mean() > 0.9
