"""Studies in the report: of one kind side by side, the main encoder's first, without knowing what they are."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modalens.report import ReportData, StudyOf
from modalens.report.naming import NOTHING
from modalens.report.sections.registry import sections_of
from modalens.report.sections.studies import shown as studies
from modalens.report.table_files import write_tables
from modalens.studies.result import Picture, StudyResult
from tests.galleries import square
from tests.interpreted import Part, quick_page

EVIL = "<script>alert(1)</script>"


def study(name: str = "removal", shift: float = 0.0, **changes) -> StudyResult:
    """Two tables with an interval, a count, a yes or no, a word and what is missing."""
    removal = pd.DataFrame(
        {
            "modality": ["image", "text"],
            "whole": [0.5 + shift, np.nan],
            "whole_low": [0.25, np.nan],
            "whole_high": [0.75, np.nan],
            "dimensions": [1234, 5],
            "hurts": [True, False],
            "p": [0.01, np.nan],
        }
    )
    values = {
        "title": f"A study of {name}",
        "tables": {
            "removal": removal,
            "left-out_pairs": pd.DataFrame({"reason": ["no label"], "pairs": [3]}),
        },
        "statements": [f"It is {0.5 + shift}."],
        "config": {},
        "pictures": {"strip": Picture(square((10, 200, 30)), "A strip.")},
    }
    return StudyResult(name, **(values | changes))


@pytest.fixture(scope="module")
def studied(data: ReportData) -> ReportData:
    """The twin's study stands before the main encoder's, and another study has no twin."""
    found = [
        StudyOf("SAE", "Untrained twin", study(shift=0.25)),
        StudyOf("Raw", "Main", study()),
        StudyOf("SAE", "Main", study(shift=0.125)),
        StudyOf("SAE", "Main", study("gender", title="Gender")),
    ]
    return dataclasses.replace(data, studies=found)


def cells(table: studies.ShownTable) -> dict[str, list[tuple[str, str]]]:
    columns = zip(*table.rows, strict=True)
    return dict(zip(table.heads, [list(column) for column in columns], strict=True))


def shown(values: dict[str, list]) -> dict[str, list[tuple[str, str]]]:
    return cells(studies.shown_table(pd.DataFrame(values), "Caption"))


def test_no_p_is_zero() -> None:
    found = shown({"p": [1e-9, 0.0004, 0.0006, 0.5, np.nan], "q": [1e-9, 0.0, 0.0, 0.0, 0.0]})
    assert [cell for cell, _ in found["P"]] == ["< 0.001", "< 0.001", "0.001", "0.500", NOTHING]
    assert found["Q"][0][0] == "< 0.001"


# One study


def test_studies_of_one_kind_are_one_and_the_main_encoder_comes_first(studied: ReportData) -> None:
    removal, gender = studies.shown_studies(studied)
    assert (removal.name, removal.title) == ("removal", "A study of removal")
    assert list(removal.tables) == list(removal.pictures) == ["Main", "Untrained twin"]
    assert removal.statements == {"Raw": ["It is 0.5."], "SAE": ["It is 0.625."]}  # a twin's are not repeated
    assert list(gender.tables) == ["Main"]
    main, rest = removal.tables["Main"]
    assert (main.caption, rest.caption) == ("Removal", "Left out pairs")
    assert [row[0] for row in cells(main)["Representation"]] == ["Raw", "Raw", "SAE", "SAE"]
    assert [row[0] for row in cells(main)["Whole"]] == ["0.500", NOTHING, "0.625", NOTHING]
    (twin, _) = removal.tables["Untrained twin"]
    assert [row[0] for row in cells(twin)["Whole"]] == ["0.750", NOTHING]
    addresses = [caption for _, caption in removal.pictures["Main"]]
    assert addresses == ["Raw: A strip.", "SAE: A strip."]
    assert all(address.startswith("data:image/png;base64,") for address, _ in removal.pictures["Main"])


def test_a_study_of_a_baseline_alone_is_shown(data: ReportData) -> None:
    alone = dataclasses.replace(data, studies=[StudyOf("SAE", "Closed twin", study())])
    (found,) = studies.shown_studies(alone)
    assert list(found.tables) == ["Closed twin"]
    assert found.statements == {}


def test_tables_that_some_lack_and_empty_ones(data: ReportData) -> None:
    own = {"only-here": pd.DataFrame({"a": [1]}), "empty": pd.DataFrame({"a": []})}
    found = [StudyOf("Raw", "Main", study()), StudyOf("SAE", "Main", study(tables=own))]
    (one,) = studies.shown_studies(dataclasses.replace(data, studies=found))
    assert [table.caption for table in one.tables["Main"]] == ["Removal", "Left out pairs", "Only here"]
    assert cells(one.tables["Main"][2]) == {"Representation": [("SAE", "")], "A": [("1", "")]}


def test_a_tables_own_columns_are_kept(data: ReportData) -> None:
    own = {"classes": pd.DataFrame({"features": [12, 7], "comparison": ["seeds", "halves"]})}
    found = [StudyOf("SAE", name, study("stability", tables=own)) for name in ("Main", "Untrained twin")]
    data = dataclasses.replace(data, studies=found)
    assert [row[0] for row in cells(studies.shown_studies(data)[0].tables["Main"][0])["Features"]] == [
        "12",
        "7",
    ]
    frame = studies.study_tables(data.studies)["stability_classes"]
    assert list(frame) == ["representation", "encoder", "features", "comparison"]
    assert frame["features"].tolist() == [12, 7, 12, 7]
    assert own["classes"].columns.tolist() == ["features", "comparison"]  # what was given is untouched


def test_every_table_is_a_file(studied: ReportData, tmp_path: Path) -> None:
    found = studies.study_tables(studied.studies)
    assert list(found) == [
        "removal_removal",
        "removal_left-out_pairs",
        "gender_removal",
        "gender_left-out_pairs",
    ]
    frame = found["removal_removal"]
    assert frame[["representation", "encoder"]].drop_duplicates().to_numpy().tolist() == [
        ["SAE", "Untrained twin"],
        ["Raw", "Main"],
        ["SAE", "Main"],
    ]
    assert frame["whole"].tolist()[::2] == [0.75, 0.5, 0.625]
    write_tables(sections_of(studied), tmp_path)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "removal_removal.parquet"), frame, check_dtype=False
    )
    assert (tmp_path / "gender_left-out_pairs.csv").exists()


def test_no_studies(data: ReportData, tmp_path: Path) -> None:
    assert studies.shown_studies(data) == []
    assert studies.study_tables(data.studies) == {}
    assert "study-" not in quick_page(data, tmp_path)


# Cells


def test_an_interval_stands_under_its_number() -> None:
    found = shown(
        {
            "x": [0.5, 0.25, np.nan],
            "x_low": [-0.125, np.nan, 0.0],
            "x_high": [1.0, np.nan, 1.0],
            "y_score": [1.0, 2.0, 3.0],
        }
    )
    assert found == {
        "X": [("0.500", "−0.125 to 1.000"), ("0.250", ""), (NOTHING, "0.000 to 1.000")],
        "Y score": [("1.000", ""), ("2.000", ""), ("3.000", "")],
    }


def test_bounds_without_their_number_or_one_alone_are_columns() -> None:
    assert list(shown({"x_low": [0.1], "x_high": [0.2]})) == ["X low", "X high"]
    found = shown({"x": [0.1], "x_low": [0.0]})
    assert found == {"X": [("0.100", "")], "X low": [("0.000", "")]}
    nested = shown(
        {"x": [0.1], "x_low": [0.0], "x_high": [0.2], "x_chance_low": [0.0], "x_chance_high": [0.1]}
    )
    assert list(nested) == ["X", "X chance low", "X chance high"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, np.nan, np.inf], ["0.500", NOTHING, NOTHING]),
        ([-0.25, 1e-9], ["−0.250", "0.000"]),
        ([1234567, 0], ["1,234,567", "0"]),
        (pd.array([1200, None], dtype="Int64"), ["1,200", NOTHING]),
        (pd.array([True, None], dtype="boolean"), ["yes", NOTHING]),
        ([True, False], ["yes", "no"]),
        (np.array([np.bool_(True), None, pd.NA], dtype=object), ["yes", NOTHING, NOTHING]),
        (np.array([12, 0.5, "word", ("a", "b")], dtype=object), ["12", "0.500", "word", "('a', 'b')"]),
        (["", EVIL, "−"], ["", EVIL, "−"]),
        (pd.Categorical(["low", "high"]), ["low", "high"]),
        (pd.array(["a", None], dtype="string"), ["a", NOTHING]),
    ],
)
def test_cells_read_well(values, expected: list[str]) -> None:
    (column,) = shown({"x": values}).values()
    assert [text for text, _ in column] == expected


def test_numbers_are_set_apart_from_words() -> None:
    frame = pd.DataFrame({"word": ["a"], "yes_or_no": [True], "score": [0.5], "count": [3]})
    table = studies.shown_table(frame, "Caption")
    assert list(table.numeric) == [False, False, True, True]
    assert list(table.heads) == ["Word", "Yes or no", "Score", "Count"]


# The page


def test_the_page_shows_studies_and_folds_baselines(studied: ReportData, tmp_path: Path) -> None:
    markup = quick_page(studied, tmp_path)
    part = Part(markup, "study-removal")
    assert part.folded == [False, False, True, True]
    assert "The same for Untrained twin" in part.text
    assert part.tables[0][0] == ["Representation", "Modality", "Whole", "Dimensions", "Hurts", "P"]
    assert part.tables[0][1] == ["Raw", "image", "0.500 | 0.250 to 0.750", "1,234", "yes", "0.010"]
    assert part.tables[0][4] == ["SAE", "text", NOTHING, "5", "no", NOTHING]
    assert part.tags.count("img") == 3
    assert not re.search(r"\b(nan|NaN|None|inf)\b", part.text)
    assert Part(markup, "study-gender").folded == [False, False]
    # Readers find them in the list of chapters, before the table of all features.
    anchors = re.findall(r'<details class="chapter" id="chapter-([\w-]+)">', markup)
    assert (
        anchors.index("study-removal") + 2 == anchors.index("study-gender") + 1 == anchors.index("features")
    )


def test_words_of_a_study_stay_words(data: ReportData, tmp_path: Path) -> None:
    table = pd.DataFrame({f"column{EVIL}": [EVIL], f"x{EVIL}": [0.5]})
    evil = study(
        title=EVIL,
        tables={"words": table},
        statements=[EVIL],
        pictures={"strip": Picture(square((1, 2, 3)), f'{EVIL}" onerror="alert(2)')},
    )
    found = [StudyOf(f"SAE{EVIL}", "Main", evil), StudyOf("SAE", f"Twin{EVIL}", evil)]
    markup = quick_page(dataclasses.replace(data, studies=found), tmp_path)
    assert "<script>alert" not in markup
    assert '" onerror=' not in markup
    part = Part(markup, "study-removal")
    assert "script" not in part.tags
    assert part.text.count(EVIL) > 8
    assert part.tables[0][1] == [f"SAE{EVIL}", EVIL, "0.500"]
    assert f'<h2 id="study-removal-h">{EVIL.replace("<", "&lt;").replace(">", "&gt;")}' in markup
