"""More than two modalities: shares, classes, uncertainty, and two modalities as ever."""

from dataclasses import fields
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp

import modalens as ml
from modalens.dominance import ESTIMATORS, RULES
from modalens.dominance.estimators import Estimator
from modalens.dominance.rules import ClassRule
from modalens.dominance.several import simplex_dominance
from modalens.dominance.shares import ShareSums
from modalens.errors import ModalensError
from modalens.statistics.buckets import Buckets
from tests.dominance.planted_several import NAMES, plant_several

HOW = {"resamples": 50, "seed": 3}


def identical(one, other):
    """Every field of two results is the same to the bit."""
    for each in fields(one):
        mine, theirs = getattr(one, each.name), getattr(other, each.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
        elif hasattr(mine, "scores"):
            np.testing.assert_array_equal(mine.scores, theirs.scores)
            np.testing.assert_array_equal(mine.stds, theirs.stds)
        elif isinstance(mine, dict) and mine and isinstance(next(iter(mine.values())), np.ndarray):
            for key, value in mine.items():
                np.testing.assert_array_equal(value, theirs[key])
        else:
            assert mine == theirs, each.name


@pytest.mark.parametrize("estimator", ["mean_ratio", "energy_ratio"])
def test_two_modalities_are_as_ever_to_the_bit(estimator, rng):
    image, text = rng.standard_normal((2, 90, 12)).astype(np.float32)
    groups = np.arange(90) // 2
    as_ever = ml.modality_dominance(
        image, text, estimator, groups=groups, modalities=("image", "sound"), **HOW
    )
    as_tuple = ml.modality_dominance(
        (image, text), estimator=estimator, groups=groups, modalities=("image", "sound"), **HOW
    )
    identical(as_ever, as_tuple)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_several_agree_with_two_where_there_are_two(estimator, rng):
    image, text = np.abs(rng.standard_normal((2, 200, 30))) * rng.uniform(0.2, 2, (2, 1, 30))
    two = ml.modality_dominance(image, text, estimator, resamples=400)
    several = simplex_dominance(
        (image, text),
        estimator,
        "twofold",
        False,
        resamples=400,
        seed=0,
        groups=None,
        modalities=("image", "text"),
    )
    np.testing.assert_allclose(several.shares[:, 0], two.score, atol=1e-12)
    for rule in RULES:
        same = {"image": "image", "text": "text", "cross": "shared", "dead": "dead"}
        assert [same[label] for label in two.with_rule(rule).labels] == list(several.with_rule(rule).labels)
    np.testing.assert_allclose(several.low[:, 0], two.low, atol=0.02)
    np.testing.assert_allclose(several.high[:, 0], two.high, atol=0.02)
    np.testing.assert_allclose(several.probability, two.probability, atol=0.15)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_shares_equal_a_loop(estimator, rng):
    sides = np.abs(rng.standard_normal((4, 40, 6))) * (rng.random((4, 40, 6)) < 0.4)
    sides[:, :, 2] = 0
    found = ml.modality_dominance(tuple(sides), estimator=estimator, modalities=tuple("abcd"), resamples=0)
    for feature in range(6):
        counted = sides[:, sides[:, :, feature].any(axis=0), feature]
        assert found.samples[feature] == counted.shape[1]
        if feature == 2:
            assert np.isnan(found.shares[feature]).all()
            assert found.labels[feature] == "dead"
        elif estimator == "energy_ratio":
            np.testing.assert_allclose(found.shares[feature], (counted**2).sum(axis=1) / (counted**2).sum())
        else:
            np.testing.assert_allclose(found.shares[feature], (counted / counted.sum(axis=0)).mean(axis=1))


def test_planted_classes_are_found():
    planted = plant_several()
    found = ml.modality_dominance(tuple(map(sp.csr_array, planted.codes)), modalities=NAMES, resamples=100)
    right = found.labels == planted.labels
    assert right.mean() >= 0.95
    assert found.probability[right].mean() > 0.9
    assert set(found.counts()) == {*planted.labels, "dead"}
    # Each modality on its own side gives another answer.
    turned = ml.modality_dominance(tuple(np.roll(planted.codes, 1, axis=0)), modalities=NAMES, resamples=0)
    assert (turned.labels == planted.labels).mean() < 0.4


def test_the_rule_names_the_modalities_that_carry_a_feature():
    sides = np.array([[1, 1, 1, 2], [0.4, 0.6, 1, 1], [0.1, 0.4, 1, 1]])[:, None].repeat(5, axis=1)
    found = ml.modality_dominance(tuple(sides), modalities=NAMES, resamples=20)
    # At exactly half of the strongest share a modality still carries the feature.
    assert list(found.labels) == ["image", "image+text", "shared", "shared"]
    np.testing.assert_array_equal(found.carriers, [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(found.indices("image+text"), [1])
    assert (found.probability == 1).all()
    with pytest.raises(ModalensError, match="no class 'cross'"):
        found.indices("cross")


def test_intervals_hold_the_truth():
    """Of 95 % intervals of shares at least 90 % hold the share that a large sample has."""
    rng = np.random.default_rng(1)
    strength = rng.uniform(0.2, 1, (3, 1, 40))

    def draw(n):
        fires = rng.random((n, 40)) < 0.1
        return tuple(strength * fires * rng.lognormal(0, 0.8, (3, n, 40)))

    truth = ml.modality_dominance(draw(60_000), modalities=NAMES, resamples=0).shares
    held = []
    for _ in range(20):
        found = ml.modality_dominance(draw(100), modalities=NAMES, resamples=100)
        held.append(((found.low <= truth) & (truth <= found.high))[found.samples >= 5])
    covered = np.concatenate(held).mean()
    assert 0.9 <= covered <= 0.99


@pytest.mark.parametrize("groups", [None, np.arange(3000) // 2])
def test_turned_labels_show_no_dominance(groups, rng):
    """More groups than buckets and fewer: shares spread as drawing a turn for each says."""
    sides = np.abs(rng.standard_normal((3, 3000, 8))) * np.array([3, 1, 1])[:, None, None]
    groups = np.arange(3000) if groups is None else groups
    found = ml.modality_dominance(tuple(sides), modalities=NAMES, groups=groups, **HOW)
    assert found.null.spreads.mean() < found.spread + 0.02
    assert found.null.class_counts["twofold"]["shared"] == 8
    drawn = []
    for _ in range(100):
        turns = rng.integers(0, 3, groups.max() + 1)[groups]
        turned = sides[(np.arange(3)[:, None] + turns) % 3, np.arange(3000)]
        drawn.append(ml.modality_dominance(tuple(turned), modalities=NAMES, resamples=0).shares)
    sums = ShareSums(NAMES, 8, "mean_ratio", Buckets.of(3000, groups))
    sums.add_all(tuple(sides), groups, normalize=False)
    np.testing.assert_allclose(sums.turned(400, 0).std(), np.std(drawn), rtol=0.15)


def test_results_do_not_depend_on_the_kind_of_matrix(rng):
    sides = np.abs(rng.standard_normal((3, 700, 9))).astype(np.float32) * (rng.random((3, 700, 9)) < 0.3)
    one = ml.modality_dominance(tuple(sides), modalities=NAMES, **HOW)
    other = ml.modality_dominance([sp.csr_array(side) for side in sides], modalities=NAMES, **HOW)
    np.testing.assert_array_equal(one.shares, other.shares)
    np.testing.assert_array_equal(one.low, other.low)


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_saved_and_loaded_it_is_the_same(tmp_path, suffix, rng):
    sides = rng.standard_normal((3, 40, 5))
    sides[:, :, 1] = 0
    found = ml.modality_dominance(tuple(sides), modalities=("image", "Text $x$", "sound"), **HOW)
    found.save(tmp_path / f"shares.{suffix}")
    loaded = ml.SimplexDominance.load(tmp_path / f"shares.{suffix}")
    for name in ("shares", "low", "high", "samples", "labels", "probability"):
        np.testing.assert_array_equal(getattr(found, name), getattr(loaded, name))
    np.testing.assert_array_equal(found.null.shares, loaded.null.shares)
    assert found.count_intervals("mu_sigma") == loaded.count_intervals("mu_sigma")
    assert found.to_frame().equals(loaded.to_frame())
    with pytest.raises(ModalensError, match="does not hold"):
        ml.Dominance.load(tmp_path / f"shares.{suffix}")


def test_bad_input_is_a_sentence(rng):
    sides = tuple(rng.standard_normal((3, 20, 4)))
    for wrong, message in (
        ({"modalities": None}, "Name the modalities of the 3 matrices"),
        ({"modalities": ("a", "b")}, "3 matrices and 2 modalities"),
        ({"modalities": ("a", "b", "a")}, "one name"),
        ({"modalities": ("a", "b", "a+b")}, "one name"),
        ({"modalities": ("a", "b", "shared")}, "one name"),
        ({"estimator": "signed_ratio"}, "never negative"),
        ({"rule": "no"}, "no class rule"),
        ({"resamples": -1}, "resamples"),
    ):
        with pytest.raises(ModalensError, match=message):
            ml.modality_dominance(sides, **({"modalities": NAMES} | wrong))
    with pytest.raises(ModalensError, match="sound matrix 19"):
        ml.modality_dominance((sides[0], sides[1], sides[2][1:]), modalities=NAMES)
    with pytest.raises(ModalensError, match="sound matrix has a NaN"):
        ml.modality_dominance(
            (sides[0], sides[1], np.where(sides[2] > 1, np.nan, sides[2])), modalities=NAMES
        )
    with pytest.raises(ModalensError, match="too large"):
        ml.modality_dominance(
            tuple(1e200 * side for side in sides), estimator="energy_ratio", modalities=NAMES
        )


def test_gaps_are_those_of_each_two(tmp_path, rng):
    sides = rng.standard_normal((3, 60, 8)) + np.array([1.0, 0, 0])[:, None, None]
    found = ml.gap_matrix(tuple(sides), modalities=NAMES, **HOW)
    for first, second in combinations(range(3), 2):
        names = NAMES[first], NAMES[second]
        alone = ml.modality_gap(sides[first], sides[second], modalities=names, **HOW)
        assert found.between(*names) == alone
        assert found.between(*names[::-1]) == alone
        assert found.matrix("l2i").loc[names] == found.matrix("l2i").loc[names[::-1]] == alone.l2i
    assert found.matrix().loc["image", "text"] > found.matrix().loc["text", "sound"]
    assert len(found.to_frame()) == 15
    found.save(tmp_path / "gaps.json")
    assert ml.GapMatrix.load(tmp_path / "gaps.json") == found
    with pytest.raises(ModalensError, match="no gap between"):
        found.between("image", "video")
    with pytest.raises(ModalensError, match="no measure"):
        found.matrix("distance")


def test_a_rule_and_an_estimator_of_two_modalities_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = np.random.default_rng(0).standard_normal((3, 40, 6))
    own = Estimator("cubes", lambda a, b: (a**3, a**3 + b**3), degree=3)
    monkeypatch.setitem(ESTIMATORS, "cubic_ratio", own)
    halves = ClassRule("off 0.5", lambda _: (np.asarray(0.5), np.asarray(0.5)), ("1/2", "1/2"))
    monkeypatch.setitem(RULES, "tight", halves)
    assert set(ml.modality_dominance(tuple(sides), modalities=NAMES, resamples=10).certainties) == {
        "mu_sigma",
        "twofold",
    }
    with pytest.raises(
        ModalensError, match=r"The estimator cubic_ratio is for two modalities, and there are 3\."
    ):
        ml.modality_dominance(tuple(sides), estimator="cubic_ratio", modalities=NAMES, resamples=0)
    with pytest.raises(
        ModalensError, match=r"The class rule tight is for two modalities; choose one of mu_sigma, twofold\."
    ):
        ml.modality_dominance(tuple(sides), rule="tight", modalities=NAMES, resamples=0).counts()
