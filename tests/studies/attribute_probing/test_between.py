"""The difference between two values: planted ones are found, none is found where none was planted."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from modalens.dominance import modality_dominance
from modalens.edit import IndexSet, zero
from modalens.studies import StudyResult
from modalens.studies.attribute_probing import between_said
from modalens.studies.attribute_probing.between import (
    AS_CONTROLS,
    DIFFERS,
    NOT_TOLD,
    swapped_accuracies,
    verdict_of,
)
from modalens.studies.attribute_probing.matched import matched_pairs, two_commonest
from modalens.studies.attribute_probing.nearest import design
from modalens.studies.attribute_probing.study import gender

N, FEATURES = 600, 60


def planted(difference: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images show gender by image features, and by features of both sides that are ambiguous.

    With a difference half of the women and no man look like the other by the latter, so that women are told by image
    features alone; without, a quarter of either do. Texts say it by text features and by those of both sides, alike.
    """
    rng = np.random.default_rng(seed)
    female = rng.permuted(np.arange(N) % 3 > 0)  # twice as many women
    image, text = rng.exponential(0.3, (2, N, FEATURES))
    image[:, 12:24] *= 0.05
    text[:, :12] *= 0.05
    for features, own in ((image, 0), (text, 12)):
        features[female, own : own + 2] += 2
        features[~female, own + 2 : own + 4] += 2
        uneven = difference and features is image
        looks_male = rng.random(N) < np.where(female, 0.5 if uneven else 0.25, 1.0 if uneven else 0.75)
        features[looks_male, 30:32] += 2
        features[~looks_male, 32:34] += 2
    return image, text, np.where(female, "woman", "man").astype(object)


def studied(difference: bool, **options: Any) -> StudyResult:
    image, text, labels = planted(difference)
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    return gender(image, text, labels, mds, seeds=2, swaps=60, **options)


@pytest.fixture(scope="module")
def with_difference() -> StudyResult:
    return studied(True)


def row_of(result: StudyResult, side: str, without: str, edited: str = "alike") -> dict[str, Any]:
    table = result.tables["between_values"].set_index(["input", "without", "edited"])
    row: dict[str, Any] = table.loc[(side, without, edited)].to_dict()
    return row


def test_a_planted_difference_is_found(with_difference: StudyResult) -> None:
    row = row_of(with_difference, "image", "image")
    assert (row["first"], row["second"]) == ("female", "male")
    assert row["difference"] == pytest.approx(-0.5, abs=0.12)
    assert row["difference_high"] < -0.3
    assert row["change_second"] > -0.1
    assert row["verdict"] == DIFFERS
    together = row_of(with_difference, "both", "own")
    assert together["verdict"] == DIFFERS
    assert together["difference_high"] < -0.2
    text = row_of(with_difference, "text", "text")
    assert together["difference"] == pytest.approx(row["difference"] - text["difference"])
    assert row_of(with_difference, "both", "own", "sample")["published"] == pytest.approx(-33.41)
    said = " ".join(with_difference.statements)
    assert "200 pairs of each are tested" in said
    assert "The class serves female images more than male ones." in said
    assert "That female and male are told by different sides is seen here" in said


def test_none_is_found_where_none_was_planted() -> None:
    result = studied(False)
    table = result.tables["between_values"]
    alike = table[table["edited"] == "alike"]
    assert (alike["verdict"] != DIFFERS).all()
    row = row_of(result, "both", "own")
    assert row["verdict"] == NOT_TOLD
    assert 0.02 < row["detectable"] < 0.3
    said = " ".join(result.statements)
    assert "is not decided by these data, where a test at 0.05 finds a difference of" in said


def test_rows_hold_what_they_are_called(with_difference: StudyResult) -> None:
    table = with_difference.tables["between_values"]
    assert list(table["input"].unique()) == ["image", "text", "both"]
    assert len(table) == 14
    np.testing.assert_allclose(table["difference"], table["change_first"] - table["change_second"])
    for name in ("difference", "relative", "change_first"):
        assert (np.diff(table[[f"{name}_low", name, f"{name}_high"]], axis=1) >= -1e-9).all()
    np.testing.assert_allclose(table["beyond"], table["difference"] - table["random"], atol=1e-12)
    np.testing.assert_allclose(
        table["beyond_energy"], table["difference"] - table["random_energy"], atol=1e-12
    )


def test_swapped_labels_are_as_in_a_loop() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 7)) * (rng.random((40, 7)) < 0.7)
    groups = np.arange(40) // 2
    plan = design(np.array(["a", "b"] * 20, dtype=object), None, groups, seeds=2, folds=4, seed=0)
    sets = [[IndexSet("nothing", "whole", np.arange(0)), IndexSet("image", "class", np.arange(3))]] * 2
    found = swapped_accuracies(x, x, plan, sets, 5, seed=3)
    np.testing.assert_allclose(found, swapped_accuracies(*[sp.csr_array(x)] * 2, plan, sets, 5, seed=3))
    turns = np.random.default_rng(3).integers(0, 2, (5, 20))
    for swap, turned in enumerate(turns):
        labels = turned[groups] ^ plan.tested.labels
        hits = np.zeros((2, 2, 2))
        for splits in plan.rounds:
            for refer, test in splits:
                means = [x[refer][labels[refer] == value].mean(axis=0) for value in range(2)]
                for place, removed in enumerate(sets[0]):
                    for row in test:
                        edited = zero(x[row], removed.indices)
                        for way, references in enumerate(
                            (means, [zero(mean, removed.indices) for mean in means])
                        ):
                            apart = [np.linalg.norm(edited - mean) for mean in references]
                            hits[way, place, labels[row]] += np.argmin(apart) == labels[row]
        np.testing.assert_allclose(found[:, swap], hits / (2 * np.bincount(labels)))


def test_as_many_pairs_of_each_are_drawn_in_every_concept() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice(np.array(["a", "b", "c", None], dtype=object), 300, p=[0.5, 0.3, 0.1, 0.1])
    concepts = rng.choice(np.array(["x", "y", 3, None], dtype=object), 300)
    tested = rng.random(300) < 0.4
    assert two_commonest(values) == ("a", "b")
    drawn = matched_pairs(values, ("a", "b"), tested, concepts, seed=1)
    there = pd.notna(drawn)
    assert (drawn[there] == values[there]).all()
    assert not pd.isna(concepts[there]).any()
    for part in (tested, ~tested):
        for concept in ("x", "y", 3):
            inside = part & np.array([each == concept for each in concepts])
            counts = [(drawn[inside] == value).sum() for value in ("a", "b")]
            assert counts[0] == counts[1] == min((values[inside] == value).sum() for value in ("a", "b"))
    whole = matched_pairs(values, ("a", "b"), None, None, seed=1)
    assert (whole == "a").sum() == (whole == "b").sum() == (values == "b").sum()
    assert two_commonest(np.array(["a", None], dtype=object)) is None


def test_concepts_that_go_with_a_value_are_matched() -> None:
    """What only shows the concept costs either value alike once there are as many of each in every concept."""
    image, text, labels = planted(difference=True)
    kinds = np.where(np.arange(N) % 7 < 5, "bag", "watch")
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    result = gender(image, text, labels, mds, concepts=kinds, concept="kind", seeds=1, swaps=20)
    table = result.tables["between_by_concept"]
    assert list(table["concept"]) == ["bag", "watch", "bag", "watch"]
    bags = table[table["concept"] == "bag"].set_index("input")
    assert bags.loc["image", "difference_high"] < -0.2
    assert bags.loc["text", "difference"] > -0.3
    assert bags.loc["image", "pairs"] == (np.array(labels)[kinds == "bag"] == "man").sum()
    assert any("as many of each in every kind" in each for each in result.statements)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, DIFFERS),
        ({"difference_low": -0.1}, NOT_TOLD),
        ({"q": 0.2}, AS_CONTROLS),
        ({"q_energy": 0.2}, AS_CONTROLS),
        ({"q_energy": np.nan}, DIFFERS),
        ({"swapped_high": 0.4}, AS_CONTROLS),
        ({"beyond": -0.2}, AS_CONTROLS),
    ],
)
def test_the_verdict_follows_from_the_row(changes: dict[str, float], verdict: str) -> None:
    row = {
        "difference_low": 0.1,
        "difference": 0.2,
        "difference_high": 0.3,
        "swapped_low": -0.1,
        "swapped_high": 0.1,
    }
    row |= {"q": 0.01, "q_energy": 0.01, "beyond": 0.2, "beyond_energy": 0.2}
    assert verdict_of({**row, **changes}) == verdict


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_too_few_pairs_of_a_value_are_said() -> None:
    image, text, _ = planted(difference=False)
    labels = np.full(N, "man", dtype=object)
    labels[:2] = "woman"
    mds = modality_dominance(image, text, rule="twofold", resamples=0)
    result = gender(image, text, labels, mds, seeds=1, folds=2, swaps=20)
    said = " ".join(result.statements)
    table = result.tables.get("between_values")
    if table is None:
        assert "are not compared on as many pairs of each" in said
    else:
        # Where no pair is told right before, a change in % is undefined.
        assert not np.isinf(table.select_dtypes("number").to_numpy(dtype=np.float64)).any()


@pytest.mark.parametrize(
    ("changes", "controls"),
    [
        ({"q": 0.2}, "random features of equal number"),
        ({"q_energy": 0.2}, "random features of equal energy"),
        ({"swapped_high": 0.4}, "swapped labels"),
        ({"q_energy": 0.2, "swapped_high": 0.4}, "random features of equal energy and swapped labels"),
    ],
)
def test_only_controls_that_do_as_much_are_named(changes: dict[str, float], controls: str) -> None:
    row = {"difference": 0.3, "swapped_low": -0.2, "swapped_high": 0.2, "q": 0.01, "q_energy": 0.01}
    row |= {"beyond": 0.2, "beyond_energy": 0.2, "verdict": AS_CONTROLS}
    said = between_said._verdict({**row, **changes})
    assert said == f"The two differ, but no more than {controls} make them."
