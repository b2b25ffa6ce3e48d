"""Agreement of raters with each other and with the classes, against scikit-learn and krippendorff by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

pytest.importorskip("krippendorff", reason="the agreement extra is not installed")

import krippendorff

from modalens.errors import ModalensError
from modalens.studies.rater_agreement.study import agreement, kappas, krippendorff_alpha
from modalens.studies.result import StudyResult

CHOICES = ["image", "text", "both", "neither"]
CLASSES = ["image", "cross", "text"]
WANTED = {"image": "image", "cross": "both", "text": "text"}


def sheet(folder: Path, rater: str, answers: Mapping[int, str], /, **changes: Any) -> Path:
    document = {
        "kind": "modalens answers",
        "schema_version": 1,
        "page": "abc",
        "rater": rater,
        "choices": CHOICES,
        "answers": {str(item): answer for item, answer in answers.items()},
        **changes,
    }
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(document))
    return path


def key(folder: Path, classes: Mapping[int, str], /, **changes: Any) -> Path:
    document = {
        "kind": "modalens annotation key",
        "schema_version": 1,
        "page": "abc",
        "choices": CHOICES,
        "answer_of_class": WANTED,
        "items": [{"item": item, "feature": 100 + item, "class": name} for item, name in classes.items()],
        **changes,
    }
    path = folder / "key.json"
    path.write_text(json.dumps(document))
    return path


def answers(rng: np.random.Generator, classes: Mapping[int, str], right: float) -> dict[int, str]:
    """Right with a probability, else anything."""
    return {
        item: WANTED[name] if rng.random() < right else str(rng.choice(CHOICES))
        for item, name in classes.items()
    }


@pytest.fixture
def classes(rng: np.random.Generator) -> dict[int, str]:
    return {item: str(rng.choice(CLASSES)) for item in range(1, 61)}


def test_kappa_and_alpha_are_the_libraries(tmp_path, rng, classes):
    given = {name: answers(rng, classes, right) for name, right in [("Ada", 0.9), ("Bo", 0.6), ("Cy", 0.2)]}
    del given["Bo"][7]
    del given["Bo"][8]
    result = agreement([sheet(tmp_path, *one) for one in given.items()], key(tmp_path, classes))
    assert isinstance(result, StudyResult)
    for row in result.tables["between_raters"].itertuples():
        a, b = given[row.rater], given[row.other]
        shared = sorted(a.keys() & b.keys())
        assert row.features == len(shared)
        assert row.agreement == pytest.approx(np.mean([a[i] == b[i] for i in shared]))
        assert row.kappa == pytest.approx(cohen_kappa_score([a[i] for i in shared], [b[i] for i in shared]))
        assert row.kappa == pytest.approx((row.agreement - row.chance) / (1 - row.chance))
        assert row.low < row.kappa < row.high
    for row in result.tables["with_classes"].itertuples():
        a = given[row.rater]
        used = [i for i in a if a[i] != "neither"]
        assert row.neither == len(a) - len(used)
        assert row.features == len(used)
        assert row.kappa == pytest.approx(
            cohen_kappa_score([a[i] for i in used], [WANTED[classes[i]] for i in used])
        )
    coded = [[CHOICES.index(one[i]) if i in one else np.nan for i in classes] for one in given.values()]
    expected = krippendorff.alpha(np.array(coded), level_of_measurement="nominal")
    row = result.tables["alpha"].iloc[0]
    assert row["alpha"] == pytest.approx(expected)
    assert row["low"] < row["alpha"] < row["high"]
    assert row["features"] == 60
    kappa = result.tables["with_classes"].set_index("rater")["kappa"]
    assert kappa["Ada"] > kappa["Bo"] > kappa["Cy"]
    assert abs(kappa["Cy"]) < 0.5


def test_many_kappas_at_once_are_those_of_scikit_learn(rng):
    pairs = rng.integers(0, 4, (20, 2, 30))
    tables = np.zeros((20, 4, 4))
    for draw, (a, b) in enumerate(pairs):
        np.add.at(tables[draw], (a, b), 1)
    np.testing.assert_allclose(kappas(tables), [cohen_kappa_score(a, b) for a, b in pairs])


def test_intervals_cover_the_truth_about_as_often_as_they_say(tmp_path, rng):
    """Raters who share 60 % of their answers by design: kappa is 0.6 for even answers."""
    covered = 0
    for trial in range(60):
        folder = tmp_path / str(trial)
        folder.mkdir()
        a = rng.integers(0, 4, 80)
        b = np.where(rng.random(80) < 0.6, a, rng.integers(0, 4, 80))
        files = [
            sheet(folder, name, {i: CHOICES[code] for i, code in enumerate(codes)})
            for name, codes in [("a", a), ("b", b)]
        ]
        row = agreement(files, resamples=200, seed=trial).tables["between_raters"].iloc[0]
        covered += row["low"] <= 0.6 <= row["high"]
    assert covered >= 50  # 57 expected


def test_tables_say_who_answered_what(tmp_path):
    classes = {1: "image", 2: "cross", 3: "text"}
    files = [
        sheet(tmp_path, "Ada", {1: "image", 2: "neither", 3: "text"}),
        sheet(tmp_path, "Bo", {1: "both", 3: "text"}),
    ]
    result = agreement(files, key(tmp_path, classes))
    features = result.tables["features"]
    assert features.to_dict("list") == {
        "item": [1, 2, 3],
        "feature": [101, 102, 103],
        "class": ["image", "cross", "text"],
        "answer of Ada": ["image", "neither", "text"],
        "answer of Bo": ["both", "", "text"],
    }
    counts = result.tables["answers"].set_index(["rater", "class"])
    assert counts.loc[("Ada", "cross"), CHOICES].to_list() == [0, 0, 0, 1]
    assert counts.loc[("Bo", "cross"), CHOICES].to_list() == [0, 0, 0, 0]
    assert result.statements[-1].startswith("Bo and the classes agree on 50% of 2 features")
    assert any("1 answered with neither is left out" in text for text in result.statements)


def test_without_a_key_raters_are_compared_and_without_others_the_classes(tmp_path, rng, classes):
    files = [sheet(tmp_path, name, answers(rng, classes, 0.5)) for name in ("Ada", "Bo")]
    between = agreement(files)
    assert set(between.tables) == {"between_raters", "alpha", "answers", "features"}
    assert set(between.tables["answers"]["class"]) == {"all"}
    alone = agreement(files[:1], key(tmp_path, classes))
    assert set(alone.tables) == {"with_classes", "answers", "features"}


def test_the_same_seed_gives_the_same_numbers(tmp_path, rng, classes):
    files = [sheet(tmp_path, name, answers(rng, classes, 0.5)) for name in ("Ada", "Bo", "Cy")]
    first, again, other = (agreement(files, seed=seed) for seed in (0, 0, 1))
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])
    assert (first.tables["between_raters"]["low"] != other.tables["between_raters"]["low"]).any()


def test_the_result_is_kept(tmp_path, rng, classes):
    files = [sheet(tmp_path, name, answers(rng, classes, 0.5)) for name in ("Ada", "Bo <b>", "Cy")]
    result = agreement(files, key(tmp_path, classes))
    result.save(tmp_path / "kept")
    again = StudyResult.load(tmp_path / "kept")
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])
    assert again.statements == result.statements
    assert again.source["raters"] == ["Ada", "Bo <b>", "Cy"]


def test_answers_that_never_vary_have_no_kappa(tmp_path):
    files = [sheet(tmp_path, name, dict.fromkeys(range(1, 6), "both")) for name in ("Ada", "Bo")]
    result = agreement(files, key(tmp_path, dict.fromkeys(range(1, 6), "cross")))
    row = result.tables["between_raters"].iloc[0]
    assert row["agreement"] == 1
    assert np.isnan([row["kappa"], row["low"], row["high"], result.tables["alpha"].iloc[0]["alpha"]]).all()
    assert "kappa is not defined" in " ".join(result.statements)
    assert np.isnan(krippendorff_alpha(np.array([[2, 0], [2, 0]])))


def test_a_rater_who_says_only_neither_is_said_to_compare_with_nothing(tmp_path, classes):
    alone = sheet(tmp_path, "Ada", dict.fromkeys(classes, "neither"))
    result = agreement([alone], key(tmp_path, classes))
    assert result.tables["with_classes"].iloc[0]["neither"] == 60
    assert (
        "have no feature in common to compare; 60 answered with neither are left out." in result.statements[0]
    )


def test_two_raters_among_others_may_share_no_feature(tmp_path):
    files = [
        sheet(tmp_path, "Ada", {1: "image", 2: "text"}),
        sheet(tmp_path, "Bo", {1: "image", 2: "both", 3: "text", 4: "both"}),
        sheet(tmp_path, "Cy", {3: "text", 4: "both"}),
    ]
    rows = agreement(files).tables["between_raters"].set_index(["rater", "other"])
    assert rows.loc[("Ada", "Cy"), "features"] == 0
    assert np.isnan(rows.loc[("Ada", "Cy"), "kappa"])
    assert rows.loc[("Bo", "Cy"), "kappa"] == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not json", "is not valid JSON"),
        ("[1, 2]", "holds a list, not an object"),
        (
            '{"kind": "modalens annotation key", "schema_version": 1}',
            "does not hold what modalens answers saves",
        ),
        (
            '{"kind": "modalens answers", "schema_version": 1}',
            r"are damaged \(it lacks 'rater'\); save them again",
        ),
    ],
)
def test_files_that_hold_no_answers(tmp_path, content, sentence):
    path = tmp_path / "answers.json"
    path.write_text(content)
    with pytest.raises(ModalensError, match=sentence) as caught:
        agreement([path])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"answers": {"1": "image", "2": "maybe"}},
            "answers item 2 with 'maybe'; the answers there are: image, text",
        ),
        ({"answers": {"one": "image"}}, "are damaged"),
        ({"answers": {"1": 3}}, "are damaged"),
        ({"answers": {"1": None}}, "are damaged"),
        ({"answers": ["image"]}, "are damaged"),
        ({"answers": {}}, "holds no answer yet"),
        ({"rater": "  "}, "do not say whose they are"),
        ({"rater": None}, "are damaged"),
        ({"choices": None}, "are damaged"),
        ({"page": "other"}, "answers page other and .* page abc; compare answers to one page"),
        ({"rater": "Ada"}, "are both by the rater 'Ada'"),
        ({"answers": {"5": "image"}}, r"No feature was answered by two raters \(Ada, Bo\)"),
    ],
)
def test_answers_that_cannot_be_compared(tmp_path, changes, sentence):
    good = sheet(tmp_path, "Ada", {1: "image", 2: "text"})
    bad = sheet(tmp_path, "Bo", {1: "image"}, **changes)
    with pytest.raises(ModalensError, match=sentence) as caught:
        agreement([good, bad])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"page": "other"}, "is that of page other, and Ada answered page abc"),
        ({"items": [{"item": 1, "feature": 5, "class": "image"}]}, "Ada answered item 2, which the key"),
        ({"items": [{"item": 1}]}, "is damaged"),
        ({"items": None}, "is damaged"),
        ({"answer_of_class": {"image": "image"}}, r"is damaged \(nothing answers class '(text|cross)'\)"),
        ({"kind": "modalens answers"}, "does not hold what modalens annotation key saves"),
    ],
)
def test_keys_that_do_not_fit(tmp_path, changes, sentence):
    good = sheet(tmp_path, "Ada", {1: "image", 2: "text"})
    with pytest.raises(ModalensError, match=sentence):
        agreement([good], key(tmp_path, {1: "image", 2: "text"}, **changes))


def test_nothing_to_compare(tmp_path):
    with pytest.raises(ModalensError, match="There are no answers to compare"):
        agreement([])
    with pytest.raises(ModalensError, match="Only Ada answered: give the page's key"):
        agreement([sheet(tmp_path, "Ada", {1: "image"})])
    with pytest.raises(ModalensError, match="There is no file"):
        agreement([tmp_path / "missing.json"])
    with pytest.raises(ModalensError, match="resamples is 0"):
        agreement([], resamples=0)


def test_a_missing_package_is_named(tmp_path, rng, classes, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "krippendorff", None)
    files = [sheet(tmp_path, name, answers(rng, classes, 0.5)) for name in ("Ada", "Bo")]
    with pytest.raises(ModalensError, match=r"pip install 'modalens\[agreement\]'"):
        agreement(files)


def test_the_key_of_a_written_page_is_understood(tmp_path):
    """The page, its key and the answers speak one language."""
    from modalens.report.annotation import write_annotation
    from modalens.report.cards import FeatureCard, Gallery

    png = b"\x89PNG\r\n\x1a\n rest"
    samples = {f"s{i}": (png + bytes([i]), f"text {i}") for i in range(9)}
    cards = [
        FeatureCard(f, ("image", "cross", "text")[f % 3], 0.5, top_images=[("s1", 1.0)]) for f in range(9)
    ]
    page = write_annotation(
        Gallery("SAE", "", ("image", "text"), "twofold", cards), samples, tmp_path / "page"
    )
    document = json.loads((page.parent / "key.json").read_text())
    answered = {item["item"]: WANTED[item["class"]] for item in document["items"]}
    file = sheet(tmp_path, "Ada", answered, page=document["page"])
    result = agreement([file], page.parent / "key.json")
    assert result.tables["with_classes"].iloc[0]["kappa"] == 1
    assert sorted(result.tables["features"]["feature"]) == list(range(9))
