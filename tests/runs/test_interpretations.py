"""Interpretations are of the right samples, judged by the right models."""

import numpy as np
import pytest
import scipy.sparse as sp

from modalens.features.loading import load_features
from modalens.interpret import monosemanticity
from modalens.runs.interpretation import SIDES
from tests.runs.interpreted_run import HELD_OUT, own, seen, written
from tests.small_run import CONFIG, Embedder, colour


def dense(codes) -> np.ndarray:
    rows = codes[:]
    return rows.toarray() if sp.issparse(rows) else np.asarray(rows)


def test_every_representation_of_a_run_and_of_its_baselines(interpreted) -> None:
    run, found, _ = interpreted
    assert set(found) == {"raw", "ncl", "sae"}
    assert {path.parent.as_posix() for path in written(run)} == {
        "interpret",
        "features/ncl/interpret",
        "features/sae/interpret",
        "baselines/untrained/interpret",
        "baselines/untrained/features/sae/interpret",
    }
    for name, f in (("raw", 6), ("ncl", 8), ("sae", 16)):
        each = found[name]
        assert len(each.mds.score) == len(each.mono["image"].mono) == len(each.histograms.edges) == f
        assert each.mds.rule == CONFIG.rule == "twofold"
        assert each.neighbours[0].shape == each.neighbours[1].shape == (f, 6)
        assert each.bridges.has_decoder == (name == "sae")


def test_a_picture_counts_once_whatever_its_names_and_captions(interpreted) -> None:
    _, found, models = interpreted
    ids = found["raw"].ids
    assert ids["image"].tolist() == [f"p{number}" for number in HELD_OUT]
    assert ids["text"].tolist() == [*ids["image"], "again", "copy"]
    # The copy is another file, so it is embedded before it is known to be the same.
    assert seen(models, "image") == len(HELD_OUT) + 1
    assert seen(models, "text") == len(HELD_OUT) + 2


@pytest.mark.parametrize("name", ["raw", "ncl", "sae"])
def test_strongest_samples_equal_a_search_through_the_held_out_pairs(interpreted, name: str) -> None:
    run, found, _ = interpreted
    store = own(run, name).store
    place = {pair: row for row, pair in enumerate(store.ids)}
    picture = dict(zip(store.ids, store.metadata["image_path"], strict=True))
    for side in SIDES:
        codes = dense(getattr(store, side))
        for feature, (rows, values) in enumerate(
            zip(found[name].top[side].rows, found[name].top[side].values, strict=True)
        ):
            own_ids = found[name].ids[side]
            strength = {pair: codes[place[pair], feature] for pair in own_ids}
            ranked = sorted((-abs(value), at) for at, value in enumerate(strength.values()) if value)
            named = list(strength)
            shown = [picture[named[at]] for _, at in ranked]
            naive = [at for place, (_, at) in enumerate(ranked) if shown[place] not in shown[:place]]
            assert own_ids[rows[rows >= 0]].tolist() == [own_ids[at] for at in naive[: CONFIG.m]]
            np.testing.assert_array_equal(
                values[rows >= 0], [strength[named[at]] for at in naive[: CONFIG.m]]
            )


def test_samples_are_judged_by_the_other_models_embeddings(interpreted) -> None:
    run, found, _ = interpreted
    each = own(run, "sae")
    place = {pair: row for row, pair in enumerate(each.store.ids)}
    by_hand = {
        "image": np.array([1 + np.array(colour(number)) for number in HELD_OUT], np.float32),
        "text": Embedder("text").embed(
            each.store.metadata["caption"].iloc[[place[pair] for pair in found["sae"].ids["text"]]].tolist()
        ),
    }
    for side in SIDES:
        rows = np.array([place[pair] for pair in found["sae"].ids[side]])
        codes = getattr(each.store, side).pick(rows)
        groups = each.store.metadata["image_path"].to_numpy()[rows]
        expected = monosemanticity(
            codes, by_hand[side], CONFIG.m, CONFIG.seed, draws=CONFIG.draws, groups=groups
        )
        np.testing.assert_allclose(found["sae"].mono[side].mono, expected.mono, rtol=1e-5)
        np.testing.assert_array_equal(found["sae"].mono[side].samples, expected.samples)


def test_a_dead_feature_has_no_numbers(interpreted) -> None:
    found = interpreted[1]["sae"]
    dead = np.flatnonzero(found.mds.labels == "dead")
    assert len(dead)
    for side in SIDES:
        assert np.isnan(found.mono[side].mono[dead]).all()
        assert (found.top[side].rows[dead] == -1).all()
        assert not getattr(found.histograms, side)[dead].any()
    assert np.isnan(found.histograms.edges[dead]).all()
    assert set(found.bridges.verdict[dead]) == {""}
    assert found.fidelity.average("mono", "image").features <= len(found.mds.score) - len(dead)


def test_without_a_decoder_features_are_near_that_fire_together(interpreted) -> None:
    run, found, _ = interpreted
    each = own(run, "ncl")
    both = np.concatenate([dense(each.image), dense(each.text)]).astype(np.float64)
    lengths = np.linalg.norm(both, axis=0)
    for feature in range(both.shape[1]):
        cosine = {
            other: both[:, feature] @ both[:, other] / lengths[feature] / lengths[other]
            for other in range(both.shape[1])
            if other != feature and lengths[other]
        }
        near, cosines = (part[feature] for part in found["ncl"].neighbours)
        assert near.tolist() == sorted(cosine, key=lambda other: -cosine[other])[:6]
        np.testing.assert_allclose(cosines, [cosine[other] for other in near], atol=1e-5)


def test_with_a_decoder_features_are_near_that_point_the_same_way(interpreted) -> None:
    run, found, _ = interpreted
    decoder = load_features(run.learned("sae").folder).W_dec.numpy()
    unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    near, cosine = (part[:, 0] for part in found["sae"].neighbours)
    np.testing.assert_allclose(cosine, np.sort(unit @ unit.T, axis=1)[:, -2], atol=1e-5)
    np.testing.assert_allclose((unit * unit[near]).sum(axis=1), cosine, atol=1e-5)


def test_mono_along_training_ends_with_that_of_the_model(interpreted) -> None:
    run, found, _ = interpreted
    assert found["raw"].along.empty
    along = found["sae"].along
    assert along[["step", "modality", "metric"]].to_numpy().tolist() == [
        [step, side, metric]
        for step in (10, 20)
        for side in SIDES
        for metric in ("embsim", "winrate", "mono")
    ]
    each = own(run, "sae")
    place = {pair: row for row, pair in enumerate(each.store.ids)}
    for side in SIDES:
        rows = np.array([place[pair] for pair in found["sae"].ids[side]])
        (kept,) = run.samples.glob(f"*/{side}.npy")
        samples = np.load(kept)[np.searchsorted(each.rows, rows)]
        groups = each.store.metadata["image_path"].to_numpy()[rows]
        once = monosemanticity(
            getattr(each.store, side).pick(rows), samples, CONFIG.m, CONFIG.seed, draws=1, groups=groups
        )
        for metric in ("embsim", "winrate", "mono"):
            last = along.query("step == 20 and modality == @side and metric == @metric").iloc[0]
            assert last["features"] == once.scored.sum()
            assert last["value"] == pytest.approx(getattr(once, metric)[once.scored].mean())
            assert last["chance"] == pytest.approx(once.chance[metric][once.scored].mean())
            assert last["low"] <= last["value"] <= last["high"]
