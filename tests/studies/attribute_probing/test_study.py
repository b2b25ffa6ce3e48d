"""The attribute probe against naive loops, on planted data, and what it refuses."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modalens.dominance import modality_dominance
from modalens.dominance.result import Dominance
from modalens.edit import IndexSet, zero
from modalens.errors import ModalensError
from modalens.studies import StudyResult
from modalens.studies.attribute_probing.attributes import GENDER, attribute_named
from modalens.studies.attribute_probing.nearest import classify, design
from modalens.studies.attribute_probing.spread import spread_out
from modalens.studies.attribute_probing.strongest import class_share
from modalens.studies.attribute_probing.study import gender
from tests.studies.attribute_probing.planted import FEATURES, IMAGE_SIDE, TEXT_SIDE, planted


def scored(image: Any, text: Any) -> Dominance:
    return modality_dominance(image, text, rule="twofold", resamples=0)


@pytest.fixture(scope="module")
def held_out() -> tuple[StudyResult, tuple[Any, ...]]:
    image, text, labels, groups = planted()
    labels[::10] = "neutral"
    labels[3] = None
    mds = scored(image, text)
    captions = np.array([f"a {label} who {'runs' if i % 3 else 'sings'}" for i, label in enumerate(labels)])
    result = gender(
        image, text, labels, mds, tested=groups < 12, groups=groups, captions=captions,
        pictures=lambda rows: [Image.new("RGB", (40, 20), (row, 0, 0)) if row % 2 else None for row in rows],
        caveats=["Mind the gap."], seeds=3,
    )  # fmt: skip
    return result, (image, text, labels, groups, mds)


@given(seed=st.integers(0, 10_000), sparse=st.booleans())
@settings(max_examples=15)
def test_the_nearest_reference_is_found_as_a_loop_does(seed: int, sparse: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 9)) * (rng.random((40, 9)) < 0.6)
    labels = np.array(list("abc"), dtype=object)[np.arange(40) % 3]
    plan = design(labels, None, None, seeds=2, folds=3, seed=seed)
    block = sp.csr_array(x) if sparse else x
    sets = [
        [IndexSet("nothing", "whole", np.arange(0)), IndexSet("s", "class", rng.choice(9, 4, replace=False))]
        for _ in range(2)
    ]
    found = classify(block, block, plan, sets, [3], np.arange(9), 2, seed)
    assert [(each.kind, len(each)) for each in found.sets[:4]] == [
        ("whole", 0), ("class", 4), ("variance", 3), ("f_score", 3)
    ]  # fmt: skip
    assert [each.name for each in found.sets[4:]] == ["random_energy s"] * 2
    for turn, splits in enumerate(plan.rounds):
        tested = np.concatenate([test for _, test in splits])
        assert sorted(tested) == list(range(40)), "each pair is tested once"
        for refer, test in splits:
            assert not set(refer) & set(test)
            means = [x[refer][plan.tested.labels[refer] == number].mean(axis=0) for number in range(3)]
            by_variance = np.argsort(-x[refer].var(axis=0), kind="stable")[:3]
            for place, removed in [(0, []), (1, sets[turn][1].indices), (2, by_variance)]:
                for row in test:
                    edited = x[row].copy()
                    edited[removed] = 0
                    for answers, changed in ((found.predicted, False), (found.alike, True)):
                        references = [zero(mean, removed) if changed else mean for mean in means]
                        apart = [np.linalg.norm(edited - reference) for reference in references]
                        best = answers[turn, place, row]
                        assert apart[best] <= min(apart) + 1e-9


def test_tested_pairs_never_meet_their_own_group() -> None:
    labels = np.array(["a", "b"] * 30, dtype=object)
    labels[:4] = None
    groups = np.repeat(np.arange(12), 5).astype(str)
    tested = np.zeros(60, dtype=bool)
    tested[:28] = True  # ends inside a group
    plan = design(labels, tested, groups, seeds=4, folds=5, seed=0)
    reference_groups = set(groups[plan.references.rows])
    assert not reference_groups & set(groups[tested])
    assert len(plan.tested) == 24
    drawn = [tuple(np.unique(groups[plan.references.rows[refer]])) for ((refer, _),) in plan.rounds]
    assert len(set(drawn)) > 1, "every seed drew the same references"
    assert all(len(each) == (len(reference_groups) + 1) // 2 for each in drawn)
    assert len(np.unique(plan.everyone.keys)) == len(reference_groups) + len(set(groups[plan.tested.rows]))
    crossed = design(labels, None, groups, seeds=2, folds=4, seed=0)
    for splits in crossed.rounds:
        for refer, test in splits:
            rows = crossed.tested.rows
            assert not set(groups[rows[refer]]) & set(groups[rows[test]])


def test_planted_classes_are_told_from_their_controls(held_out: tuple[StudyResult, Any]) -> None:
    result, (image, _, _, _, mds) = held_out
    assert set(mds.indices("image")) == set(IMAGE_SIDE)
    assert set(mds.indices("text")) == set(TEXT_SIDE)
    table = result.tables["accuracy"]
    whole = table[table["kind"] == "whole"].set_index("input")
    assert (whole["accuracy"] > 0.9).all()
    classes = table[table["kind"] == "class"].set_index(["input", "without"])
    for own, other in (("image", "text"), ("text", "image")):
        row = classes.loc[(own, own)]
        assert row["removed"] == 12
        assert row["p"] < 0.001
        assert row["p_alike"] < 0.001
        assert row["change"] < row["random_change_low"]
        assert row["change_high"] < -0.2
        assert row["difference_high"] < 0
        assert classes.loc[(own, other), "change"] > -0.1
        assert classes.loc[(own, other), "p"] > 0.05
    sets = table[table["input"] == "image"]
    assert list(sets["kind"]) == [
        *["whole", "class", "class", "class", "random", "variance", "f_score"],
        *["random_energy"] * 3,
    ]
    for row in sets[sets["kind"] == "class"].to_dict("records"):
        control = sets[sets["without"] == f"random_energy {row['without']}"].iloc[0]
        assert 0.8 * row["energy"] < control["energy"] <= row["energy"] * (1 + 1e-9)
        assert row["random_change_energy"] == pytest.approx(control["change"])
    f_score = sets[sets["kind"] == "f_score"].iloc[0]
    assert f_score["change"] < -0.3, "the F-score finds what was planted"
    kept = np.zeros(FEATURES, dtype=bool)
    kept[list(IMAGE_SIDE)] = True
    tested = image[np.arange(240) % 30 < 12]
    assert classes.loc[("image", "image"), "energy"] == pytest.approx(
        (tested[:, kept] ** 2).sum() / (tested**2).sum(), rel=0.1
    )
    said = " ".join(result.statements)
    assert "image accuracy changes" in said
    assert "the class carries more than random features of equal number" in said
    assert "without random ones of equal energy by" in said
    assert "accuracy beyond chance" in said
    assert "most active features" not in said  # their value stands there, and no test is made
    assert result.statements[0] == "Mind the gap."
    assert any("neutral" not in each and "have no label" in each for each in result.statements)


def test_rows_hold_what_they_are_called(held_out: tuple[StudyResult, Any]) -> None:
    result, _ = held_out
    overall, by_value = result.tables["accuracy"], result.tables["by_value"]
    for table in (overall, by_value):
        for name in ("accuracy", "change", "relative", "alike"):
            numbers = table[[f"{name}_low", name, f"{name}_high"]].to_numpy()
            assert (np.diff(numbers, axis=1) >= -1e-9).all(), name
        for _, part in table.groupby(["input", "value"]):
            before = part.loc[part["kind"] == "whole", "accuracy"].item()
            np.testing.assert_allclose(part["change"], part["accuracy"] - before, atol=1e-12)
            np.testing.assert_allclose(part["relative"], 100 * (part["accuracy"] / before - 1))
    tested = result.tables["samples"].set_index(["input", "value"])["tested"]
    weighted = by_value["accuracy"] * [
        tested[key] for key in zip(by_value["input"], by_value["value"], strict=True)
    ]
    keys = ["input", "without", "kind"]
    np.testing.assert_allclose(
        weighted.groupby([by_value[key] for key in keys], sort=False).sum()
        / tested.groupby("input").sum().reindex(overall["input"]).to_numpy(),
        overall["accuracy"],
    )


def test_the_papers_tables_have_published_values_beside(held_out: tuple[StudyResult, Any]) -> None:
    result, _ = held_out
    first = result.tables["changes_by_input"].set_index(["source", "input"])
    assert list(first.index) == [
        ("here", "image"),
        ("here", "text"),
        ("published", "image"),
        ("published", "text"),
    ]
    assert first.loc[("published", "text"), ["without_image", "without_text", "without_random"]].tolist() == [
        -0.01, -9.87, -1.41
    ]  # fmt: skip
    accuracy = result.tables["accuracy"]
    row = accuracy[(accuracy["input"] == "text") & (accuracy["without"] == "text")].iloc[0]
    assert first.loc[("here", "text"), "without_text"] == row["relative"]
    assert first.loc[("here", "text"), "without_text_low"] == row["relative_low"]
    second = result.tables["changes_by_value"].set_index(["source", "value"])
    assert second.loc[("published", "male")].dropna().tolist() == [-5.64, -28.67]
    assert second.loc[("here", "female"), "image_without_image"] < 0
    assert len(second) == 4


def test_a_smaller_reference_draws_answers_and_editing_both_tells() -> None:
    """Zeroing what one value fires more makes all answers the other value; nothing more is known by it."""
    rng = np.random.default_rng(0)
    image, text, labels, groups = planted(signal=0.0)
    female = labels == "woman"
    image[:, :12] += 3 * rng.random((240, 1)) * rng.random(12)
    image[female, 2:12] += 1.0  # many features of women
    image[female, 40:44] += 2.0  # and signs of either in features of both sides
    image[~female, 44:48] += 2.0
    text[:, 40:48] += image[:, 40:48]
    result = gender(image, text, labels, scored(image, text), groups=groups, seeds=2)
    rows = result.tables["by_value"].query("input == 'image' and without == 'image'").set_index("value")
    assert rows.loc["female", "change"] < -0.3
    assert rows.loc["male", "change"] >= 0
    assert abs(rows.loc["female", "alike"] - rows.loc["male", "alike"]) < 0.15
    assert any("not once references are edited alike" in each for each in result.statements)


def test_kinds_of_matrices_give_the_same_numbers_and_seeds_repeat(tmp_path: Path) -> None:
    image, text, labels, groups = planted(n=120)
    image, text = np.where(image > 0.7, image, 0), np.where(text > 0.7, text, 0)
    mds = scored(image, text)

    def run(a: Any, b: Any, seed: int = 0) -> StudyResult:
        return gender(a, b, labels, mds, groups=groups, captions=labels, seeds=2, seed=seed)

    dense = run(image, text)
    again, codes = run(image, text), run(sp.csr_array(image), sp.csr_array(text))
    tensors = run(torch.from_numpy(image), torch.from_numpy(text))
    for name, table in dense.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])
        pd.testing.assert_frame_equal(table, codes.tables[name])
        pd.testing.assert_frame_equal(table, tensors.tables[name])
    assert not run(image, text, seed=1).tables["accuracy"].equals(dense.tables["accuracy"])
    dense.save(tmp_path)
    loaded = StudyResult.load(tmp_path)
    assert loaded.statements == list(dense.statements)
    pd.testing.assert_frame_equal(loaded.tables["by_value"], dense.tables["by_value"])


def test_pairs_that_look_like_another_value_are_counted() -> None:
    """Pairs with another value's very features are counted, and say that no probe can help."""
    image, text, labels, groups = planted()
    image[1::4] = image[0::4]
    labels[0::4], labels[1::4] = "woman", "man"
    result = gender(image, text, labels, scored(image, text), groups=groups, seeds=1)
    same = result.tables["samples"].query("input == 'image'")
    assert np.average(same["same_as_another_value"], weights=same["tested"]) == pytest.approx(0.5)
    assert (result.tables["samples"].query("input == 'text'")["same_as_another_value"] == 0).all()
    assert any("50 % of the tested images have exactly the features" in each for each in result.statements)
    assert not any("tested texts have exactly" in each for each in result.statements)


def test_many_values_and_other_modalities_work() -> None:
    rng = np.random.default_rng(0)
    audio, video = rng.exponential(1.0, (2, 150, 30))
    audio[:, :8] *= 0.02
    video[:, 8:16] *= 0.02
    tone = np.arange(150) % 3
    for value in range(3):
        video[tone == value, value] += 3
    labels = np.array(["low", "middle", "high"], dtype=object)[tone]
    labels[:6] = "low,high"
    mds = modality_dominance(audio, video, rule="twofold", resamples=0, modalities=("audio", "video"))
    result = gender(audio, video, labels, mds, attribute="skin_tone", seeds=1)
    assert result.name == "skin-tone"
    assert result.config["values"] == ["high", "low", "middle"]
    assert "video_without_video" in result.tables["changes_by_value"].columns
    assert set(result.tables["changes_by_input"]["source"]) == {"here"}
    table = result.tables["accuracy"].set_index(["input", "without"])
    assert table.loc[("video", "video"), "alike"] < -0.3
    assert table.loc[("audio", "nothing"), "accuracy"] < 0.5


def test_a_class_without_members_is_left_out_and_two_are_refused() -> None:
    image, text, labels, groups = planted(n=80)
    mds = scored(image, text)
    without_image = replace(mds, score=np.where(mds.score > 2 / 3, 0.5, mds.score))
    result = gender(image, text, labels, without_image, groups=groups, seeds=1)
    assert set(result.tables["accuracy"].query("kind == 'class'")["without"]) == {"cross", "text"}
    assert "No feature is of class image, so its row is left out." in result.statements
    assert np.isnan(result.tables["changes_by_input"].query("source == 'here'")["without_image"]).all()
    neither = replace(mds, score=np.full(FEATURES, 0.5))
    with pytest.raises(ModalensError, match="No feature is of class image or text"):
        gender(image, text, labels, neither, groups=groups)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": np.full(80, "man", dtype=object)},
            "Every pair that has a label has the label .male.; name",
        ),
        ({"labels": np.full(80, "neutral", dtype=object)}, "No pair has a label"),
        ({"labels": np.full(79, "man", dtype=object)}, "79 labels for 80 pairs"),
        ({"draws": 5}, "draws is 5; it must be at least 20"),
        ({"seeds": 0}, "seeds is 0; it must be at least 1"),
        ({"folds": 99}, "folds must lie between 2 and"),
        ({"tested": np.ones(80, dtype=bool)}, "both must be some"),
        ({"captions": ["a"]}, "There are 1 captions for 80 pairs"),
        ({"image": np.ones((80, 3)), "text": np.ones((80, 3))}, "scores are of 60 features"),
    ],
)
def test_bad_input_is_said(changes: dict[str, Any], message: str) -> None:
    image, text, labels, groups = planted(n=80)
    given: dict[str, Any] = {"image": image, "text": text, "labels": labels, "mds": scored(image, text)}
    with pytest.raises(ModalensError, match=message):
        gender(**{**given, "groups": groups, **changes})


def test_labels_become_values() -> None:
    female = ["woman", "Female", "adult-female", "young_girl", "lady"]
    assert {GENDER.value_of(each) for each in female} == {"female"}
    assert {GENDER.value_of(each) for each in ["man", "MEN", "boy (3)"]} == {"male"}
    nothing = ["neutral", "mixed", "man and woman", "", None, float("nan"), "human"]
    assert {GENDER.value_of(each) for each in nothing} == {None}
    tone = attribute_named("skin_tone")
    assert [tone.value_of(each) for each in ["dark", " medium-dark ", "dark,light", "", None, 3]] == [
        "dark", "medium-dark", None, None, None, "3"
    ]  # fmt: skip


@given(seed=st.integers(0, 10_000), m=st.integers(1, 8), density=st.floats(0, 1))
@settings(max_examples=30)
def test_share_of_a_class_among_the_strongest(seed: int, m: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 5, (7, 10)) * (rng.random((7, 10)) < density)
    members = rng.random(10) < 0.5
    found = class_share(x.astype(float), members, m)
    np.testing.assert_array_equal(found, class_share(sp.csr_array(x.astype(float)), members, m))
    for row, share in zip(x, found, strict=True):
        order = sorted((each for each in range(10) if row[each] > 0), key=lambda each: (-row[each], each))[:m]
        if not order:
            assert np.isnan(share)
        else:
            assert share == pytest.approx(np.mean([members[each] for each in order]))


def test_the_strip_goes_from_lowest_to_highest(held_out: tuple[StudyResult, Any]) -> None:
    share = np.array([0.3, np.nan, 0.1, 0.9, 0.5, 0.5, 0.2, 0.7])
    keys = np.array([0, 1, 2, 3, 4, 4, 5, 6])
    chosen = spread_out(share, keys, count=4, seed=0)
    assert len(chosen) == 4
    assert (np.diff(share[chosen]) > 0).all()
    assert chosen[0] == 2
    assert chosen[-1] == 3
    everyone = spread_out(share, keys, count=50)
    assert len(everyone) == 6
    assert len(set(keys[everyone])) == 6
    assert len(spread_out(np.full(3, np.nan), np.arange(3))) == 0
    result, (image, _, labels, _, mds) = held_out
    picture = result.pictures["images_by_share"]
    assert "ordered by the share of image features" in picture.caption
    opened = Image.open(io.BytesIO(picture.png))
    assert opened.width > 8 * 112
    colours = {colour for _, colour in opened.getcolors(maxcolors=1_000_000)}
    assert (211, 211, 211) in colours, "a missing picture is grey"
    assert any(red % 2 and (green, blue) == (0, 0) for red, green, blue in colours)
    texts = result.tables["texts"]
    for _, part in texts.groupby("value"):
        assert part["share"].is_monotonic_increasing
    assert not np.isin(texts["text"], ["a neutral who runs", "a neutral who sings"]).any()
    shares = result.tables["shares"].set_index(["input", "value"])
    members = mds.labels == "image"
    women = [row for row in range(240) if labels[row] == "woman"]
    assert shares.loc[("image", "female"), "share"] == pytest.approx(
        np.mean(class_share(image[women], members))
    )
    assert shares.loc[("image", "female"), "of_features"] == pytest.approx(12 / 60)
