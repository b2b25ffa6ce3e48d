"""Index sets: sizes, membership, what they do not depend on, and importance against plain loops."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from modalens.dominance import Dominance, modality_dominance
from modalens.edit import (
    IndexSet,
    class_sets,
    equal_sets,
    f_score_set,
    live_features,
    random_sets,
    variance_set,
)
from modalens.errors import ModalensError


@pytest.fixture
def mds(rng: np.random.Generator) -> Dominance:
    """8 features of the image side, 4 of the text side, 20 of both, 3 dead."""
    image, text = np.abs(rng.normal(size=(2, 40, 35)))
    image[:, :8] *= 9
    text[:, 8:12] *= 9
    image[:, 32:] = text[:, 32:] = 0
    return modality_dominance(image, text, rule="twofold", resamples=0)


def test_class_sets_are_the_classes_under_either_rule(mds):
    image, cross, text = class_sets(mds)
    assert [each.name for each in (image, cross, text)] == ["image", "cross", "text"]
    assert {each.kind for each in (image, cross, text)} == {"class"}
    assert image.indices.tolist() == list(range(8))
    assert text.indices.tolist() == list(range(8, 12))
    assert cross.indices.tolist() == list(range(12, 32))
    other = class_sets(mds, "mu_sigma")
    assert [each.indices.tolist() for each in other] == [
        mds.with_rule("mu_sigma").indices(name).tolist() for name in ("image", "cross", "text")
    ]


def test_classes_carry_the_names_of_the_modalities(rng):
    named = modality_dominance(
        rng.random((9, 4)), rng.random((9, 4)), modalities=("audio", "text"), resamples=0
    )
    assert [each.name for each in class_sets(named)] == ["audio", "cross", "text"]


def test_equal_sets_have_the_size_of_the_smallest(mds):
    sets = equal_sets(class_sets(mds), seed=3)
    assert [len(each) for each in sets] == [4, 4, 4]
    for whole, part in zip(class_sets(mds), sets, strict=True):
        assert np.isin(part.indices, whole.indices).all()
        assert (np.diff(part.indices) > 0).all()
    again, other = equal_sets(class_sets(mds), seed=3), equal_sets(class_sets(mds), seed=4)
    assert all((a.indices == b.indices).all() for a, b in zip(sets, again, strict=True))
    assert any((a.indices != b.indices).any() for a, b in zip(sets, other, strict=True))
    assert [len(each) for each in equal_sets(class_sets(mds), size=2)] == [2, 2, 2]


def test_a_class_without_members_is_skipped_by_name(rng):
    side = rng.random((30, 5))
    sets = class_sets(modality_dominance(side, side, rule="twofold", resamples=0))
    assert [each.skipped for each in sets] == [True, False, True]
    assert sets[0].note == "No feature is of class image, so its row is left out."
    assert sets[1].note == ""
    assert [len(each) for each in equal_sets(sets)] == [0, 5, 0]
    assert [len(each) for each in equal_sets(sets, size=3)] == [0, 3, 0]


def test_random_sets_are_of_live_features_and_even(mds):
    live = live_features(mds)
    assert live.tolist() == list(range(32))
    sets = random_sets(live, 8, draws=2000, seed=1)
    assert len(sets) == 2000
    assert sets[0].name == "random 1"
    assert {each.kind for each in sets} == {"random"}
    assert all(len(np.unique(each.indices)) == 8 for each in sets)
    counts = np.bincount(np.concatenate([each.indices for each in sets]), minlength=35)
    assert (counts[32:] == 0).all()
    # Binomial(2000, 1/4): 500 with a standard deviation of 19.4
    assert (np.abs(counts[:32] - 500) < 5 * 19.4).all()


def test_the_first_random_sets_stay_when_more_are_drawn(mds):
    few, many = (random_sets(live_features(mds), 6, draws, seed=2) for draws in (3, 30))
    assert all((a.indices == b.indices).all() for a, b in zip(few, many, strict=False))
    assert len({tuple(each.indices) for each in many}) == 30


@pytest.mark.parametrize("kind", ["numpy", "torch", "csr"])
def test_variance_is_a_plain_variance_whatever_the_blocks(rng, kind, monkeypatch):
    x = rng.normal(size=(300, 12)) * np.arange(1, 13) + 1e6 * (np.arange(12) == 3)
    x[:, :4][rng.random((300, 4)) < 0.7] = 0
    spread = [sum((value - sum(column) / 300) ** 2 for value in column) / 300 for column in x.T.tolist()]
    given = {"numpy": x, "torch": torch.tensor(x), "csr": sp.csr_array(x)}[kind]
    expected = sorted(sorted(range(12), key=lambda f: -spread[f])[:5])
    assert variance_set(given, 5).indices.tolist() == expected
    from modalens.arrays import iter_blocks

    monkeypatch.setattr("modalens.edit.index_sets.iter_blocks", lambda matrix: iter_blocks(matrix, 7))
    assert variance_set(given, 5).indices.tolist() == expected
    allowed = np.array([1, 2, 5, 6])
    assert variance_set(given, 2, allowed).indices.tolist() == sorted(
        sorted(allowed, key=lambda f: -spread[f])[:2]
    )


def test_variance_survives_a_large_mean(rng):
    x = np.stack([1e8 + rng.normal(size=200), 2 * rng.normal(size=200), np.full(200, 1e9)], axis=1)
    assert variance_set(x, 1).indices.tolist() == [1]
    assert variance_set(x, 2).indices.tolist() == [0, 1]
    assert variance_set(sp.csr_array(x), 2).indices.tolist() == [0, 1]


def naive_f(column: list[float], labels: list[int]) -> float:
    values = {
        label: [v for v, own in zip(column, labels, strict=True) if own == label] for label in set(labels)
    }
    mean = sum(column) / len(column)
    between = sum(len(v) * (sum(v) / len(v) - mean) ** 2 for v in values.values()) / (len(values) - 1)
    within = sum((x - sum(v) / len(v)) ** 2 for v in values.values() for x in v) / (len(column) - len(values))
    return between / within


@pytest.mark.parametrize("kind", ["numpy", "csr"])
def test_f_score_is_a_plain_analysis_of_variance(rng, kind):
    labels = rng.integers(0, 3, 90)
    x = rng.normal(size=(90, 10)) * (rng.random((90, 10)) < 0.6) + 0.4 * labels[:, None] * (
        np.arange(10) % 3 == 0
    )
    x[:, 7] = 0  # constant: never chosen before one that has a score
    score = [naive_f(column, labels.tolist()) if any(column) else -1 for column in x.T.tolist()]
    given = sp.csr_array(x) if kind == "csr" else x
    chosen = f_score_set(given, labels, 4)
    assert chosen.kind == chosen.name == "f_score"
    assert chosen.indices.tolist() == sorted(sorted(range(10), key=lambda f: -score[f])[:4])
    assert 7 not in f_score_set(given, labels, 9).indices
    assert f_score_set(given, labels.astype(str), 4, np.arange(5)).indices.max() < 5


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda x: random_sets(np.arange(4), 5), "Cannot choose 5 of 4 features for the set random"),
        (lambda x: variance_set(x, 9), "Cannot choose 9 of 6 features for the set variance"),
        (lambda x: f_score_set(x, [0, 1, 0], 2), "There are 3 labels for 8 samples"),
        (lambda x: f_score_set(x, [1] * 8, 2), "at least two different labels"),
        (
            lambda x: equal_sets([IndexSet("text", "class", np.arange(3))], size=4),
            "Cannot take 4 of the 3 features in text; choose a size from 1 to 3",
        ),
        (lambda x: equal_sets([IndexSet("text", "class", np.arange(3))], size=0), "Cannot take 0"),
    ],
)
def test_bad_input_gets_one_sentence(rng, act, message):
    with pytest.raises(ModalensError, match=message):
        act(rng.normal(size=(8, 6)))
