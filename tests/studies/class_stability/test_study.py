"""Stability on data where the answer is known, and its rows by hand."""

import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score

from modalens.dominance import modality_dominance
from modalens.errors import ModalensError
from modalens.studies.class_stability.study import Retrained, stability

F = 60


def planted(seed: int = 0, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Features of which a third lean to each side strongly, a third to none, and two are dead."""
    rng = np.random.default_rng(seed)
    image, text = rng.normal(size=(2, n, F))
    image[:, :20] *= 8
    text[:, 20:40] *= 8
    image[:, -2:] = text[:, -2:] = 0
    return image, text


def rows(result) -> pd.DataFrame:
    return result.tables["stability"].set_index(["comparison", "rule"])


def test_clear_classes_hold_and_noise_does_not(rng):
    clear = rows(stability(*planted()))
    assert clear.index.tolist() == [
        (name, rule)
        for name in ("bootstrap of pairs", "halves of pairs", "energy_ratio", "normalised")
        for rule in ("mu_sigma", "twofold")
    ]
    assert (clear["features"] == F - 2).all()
    assert (clear.xs("twofold", level="rule")["kappa"] > 0.95).all()
    assert (clear["kappa_low"] > clear["kappa_chance_high"]).all()
    noise = rows(stability(*rng.normal(size=(2, 200, F))))
    halves = noise.loc["halves of pairs", "mu_sigma"]
    assert abs(halves["kappa"]) < 0.15
    assert abs(halves["ari"]) < 0.15
    # nothing is one-sided under the other rule: nothing to agree on
    assert np.isnan(noise.loc["halves of pairs", "twofold"]["kappa"])
    assert noise.loc["halves of pairs", "twofold"]["same"] == 1


@pytest.mark.parametrize("estimator", ["mean_ratio", "energy_ratio"])
@pytest.mark.parametrize("normalize", [False, True])
def test_rows_are_what_the_scores_say(rng, estimator, normalize):
    image, text = rng.normal(size=(2, 50, F)) * rng.uniform(0.3, 3, (2, 50, F)) ** 2
    image *= np.exp(rng.normal(size=(50, 1)))
    found = rows(stability(image, text, estimator=estimator, normalize=normalize))
    other = {"mean_ratio": "energy_ratio", "energy_ratio": "mean_ratio"}[estimator]
    plain = modality_dominance(image, text, estimator, normalize=normalize, resamples=0)
    changed = {
        other: modality_dominance(image, text, other, normalize=normalize, resamples=0),
        "not normalised" if normalize else "normalised": modality_dominance(
            image, text, estimator, normalize=not normalize, resamples=0
        ),
    }
    for name, mds in changed.items():
        for rule in ("mu_sigma", "twofold"):
            a, b = plain.with_rule(rule).labels, mds.with_rule(rule).labels
            row = found.loc[name, rule]
            assert row["same"] == pytest.approx((a == b).mean())
            if len(set(a) | set(b)) > 1:
                assert row["ari"] == pytest.approx(adjusted_rand_score(a, b))
                assert row["kappa"] == pytest.approx(cohen_kappa_score(a, b))
    assert (found["same"] < 1).any()


def test_bootstrap_rows_say_what_class_probabilities_say():
    """The mean share of features that keep their class is the mean bootstrap probability of the own class."""
    image, text = planted(n=30)
    found = rows(stability(image, text, resamples=50, seed=3))
    for rule in ("mu_sigma", "twofold"):
        mds = modality_dominance(image, text, rule=rule, resamples=50, seed=3)
        assert found.loc["bootstrap of pairs", rule]["same"] == pytest.approx(np.nanmean(mds.probability))


def test_more_pairs_make_halves_agree_more():
    rng = np.random.default_rng(0)
    lean = np.exp(rng.normal(0, 0.4, F))
    kappa = []
    for n in (30, 3000):
        image, text = rng.normal(size=(2, n, F))
        kappa.append(rows(stability(image * lean, text)).loc["halves of pairs", "mu_sigma"]["kappa"])
    assert kappa[0] < 0.6
    assert kappa[1] > 0.8


def test_pairs_of_a_group_stay_in_one_half(rng):
    """Copies of one pair on both sides of a split would make halves alike."""
    groups = np.repeat(np.arange(20), 10)
    image, text = rng.normal(size=(2, 20, F))[:, groups]
    kept = rows(stability(image, text, groups=[f"g{i}" for i in groups]))
    leaky = rows(stability(image, text))
    assert leaky.loc["halves of pairs", "mu_sigma"]["kappa"] > 0.35
    assert abs(kept.loc["halves of groups", "mu_sigma"]["kappa"]) < 0.15
    assert (
        kept.loc["bootstrap of groups", "mu_sigma"]["kappa"]
        < leaky.loc["bootstrap of pairs", "mu_sigma"]["kappa"]
    )


def test_retrained_features_are_compared_with_their_partners(rng):
    image, text = planted()
    decoder = rng.normal(size=(F, 32))
    order = rng.permutation(F)
    again = decoder[order] + 0.1 * rng.normal(size=(F, 32))
    again[:10] = rng.normal(size=(10, 32))  # ten features learned something else
    # and of the others six change sides
    other_image, other_text = image[:, order].copy(), text[:, order].copy()
    swap = [i for i in range(10, F) if order[i] < 40][:6]
    other_image[:, swap], other_text[:, swap] = other_text[:, swap], other_image[:, swap]
    result = stability(
        image, text, decoder=decoder, others={"seed 1": Retrained(other_image, other_text, again)}
    )
    row = rows(result).loc["seed 1", "twofold"]
    live = sum(order[i] < F - 2 for i in range(10, F))
    assert row["features"] == live
    assert row["same"] == pytest.approx(1 - 6 / live)
    match = result.tables["matches"].iloc[0]
    assert 0 <= match["matched_frozen_decoder"] < match["matched"]
    assert (match["other"], match["features"], match["matched"]) == ("seed 1", F - 2, live)
    assert match["cosine"] > 0.95
    assert result.statements[-2].startswith(f"{live} of {F - 2} live features have a partner in seed 1")


def test_features_without_any_partner_give_an_empty_row(rng):
    image, text = planted()
    strangers = Retrained(image, text, rng.normal(size=(F, 64)))
    result = stability(image, text, decoder=rng.normal(size=(F, 64)), others={"seed 1": strangers})
    row = rows(result).loc["seed 1", "twofold"]
    assert row["features"] == 0
    assert np.isnan(row["kappa"])
    assert "not defined for seed 1" in result.statements[1]


def test_dead_features_leave_nothing_to_compare():
    result = stability(np.zeros((20, 4)), np.zeros((20, 4)))
    assert (result.tables["stability"]["features"] == 0).all()
    assert result.statements[0].endswith("not defined for normalised; 1 is full agreement.")


def test_the_answer_does_not_depend_on_blocks_or_the_kind_of_matrix(monkeypatch, rng):
    image, text = planted()
    silent = rng.random(image.shape) < 0.5
    image[silent] = text[silent] = 0
    first = stability(image, text, seed=2).tables["stability"]
    sparse = stability(sp.csr_array(image), sp.csr_matrix(text), seed=2).tables["stability"]
    pd.testing.assert_frame_equal(sparse, first)
    monkeypatch.setattr("modalens.studies.class_stability.study.default_block_rows", lambda matrix: 13)
    pd.testing.assert_frame_equal(stability(image, text, seed=2).tables["stability"], first)
    other = stability(image, text, seed=3).tables["stability"]
    assert not other["kappa_low"].equals(first["kappa_low"])


def test_the_result_is_kept(tmp_path):
    result = stability(*planted(), modalities=("audio", "text"), source={"run": "demo"})
    result.save(tmp_path)
    loaded = type(result).load(tmp_path)
    pd.testing.assert_frame_equal(loaded.tables["stability"], result.tables["stability"])
    assert loaded.config["modalities"] == ["audio", "text"]
    assert loaded.source == {"run": "demo"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": np.ones((3, F))}, "The image matrix has 200 rows and the text matrix 3"),
        ({"groups": [1] * 200}, "There is only one pair or group"),
        ({"groups": [1, 2]}, "groups has 2 labels for 200 pairs"),
        ({"image": np.ones((1, F)), "text": np.ones((1, F))}, "There is only one pair or group"),
        ({"resamples": 0}, "resamples is 0; it must be at least 1"),
        ({"splits": 0}, "splits is 0; it must be at least 1"),
        ({"splits": 1.5}, "splits is 1.5; it must be a whole number"),
        ({"estimator": "median"}, "There is no estimator 'median'"),
        ({"estimator": "signed_ratio"}, "signed_ratio needs features that are never negative"),
        ({"others": "given"}, "To compare with seed 1 give the decoder of these 60 features"),
        ({"others": "given", "decoder": np.ones((5, 4))}, "give the decoder of these 60 features"),
        ({"others": "short", "decoder": np.ones((F, 4))}, "seed 1 has 60 features and a decoder of 3 rows"),
        ({"modalities": ("image", "image")}, "two different names"),
    ],
)
def test_bad_input_gets_one_sentence(change, message):
    image, text = planted()
    if isinstance(change.get("others"), str):
        height = F if change["others"] == "given" else 3
        change = {**change, "others": {"seed 1": Retrained(image, text, np.ones((height, 4)))}}
    given = {"image": image, "text": text, **change}
    with pytest.raises(ModalensError, match=message) as caught:
        stability(given.pop("image"), given.pop("text"), **given)
    assert "\n" not in str(caught.value)


def test_it_takes_seconds_at_500_pairs_of_1024_features(rng):
    image, text = rng.normal(size=(2, 500, 1024))
    decoder = rng.normal(size=(1024, 256))
    started = time.process_time()
    stability(image, text, decoder=decoder, others={"seed 1": Retrained(image, text, decoder)})
    assert time.process_time() - started < 10
