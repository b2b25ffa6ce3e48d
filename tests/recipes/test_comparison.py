"""Published numbers stand beside ours of the same form, and nothing beside what was not published."""

import json
from math import isnan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from modalens.errors import ModalensError
from modalens.recipes import comparison
from modalens.recipes.comparison import Comparison, as_markdown, compare, write_comparison
from modalens.report.sections.claims import Claim
from modalens.runs.layout import RunFolder
from modalens.studies.result import StudyResult
from tests.interpreted import make_interpreted

UNMATCHED = "OpenAI's CLIP (not matched: other pairs and another objective)"


def saved(run: RunFolder, study: str, features: str, **tables: pd.DataFrame) -> None:
    StudyResult(study, study, tables, [], {}, {}).save(run.study(study) / features)


def removal_table() -> pd.DataFrame:
    rows = []
    for modality in ("image", "text"):
        for without, removed in (("image", 400), ("cross", 50), ("text", 574)):
            row: dict[str, Any] = {"modality": modality, "without": without, "removed": removed}
            for name in ("whole", "accuracy", "random"):
                row |= {name: 0.7, f"{name}_low": 0.6, f"{name}_high": 0.8}
            rows.append(row)
    return pd.DataFrame(rows)


def gender_tables() -> dict[str, pd.DataFrame]:
    rows = [
        {"input": modality, "without": without, "kind": kind, "removed": removed, "accuracy": 0.8}
        for modality in ("image", "text")
        for without, kind, removed in (
            ("nothing", "whole", 0),
            ("image", "class", 5),
            ("text", "class", 5),
            ("cross", "class", 3),
            ("random", "random", 5),
            ("random", "random", 3),
        )
    ]
    accuracy = pd.DataFrame(rows).assign(accuracy_low=0.7, accuracy_high=0.9)
    change = {"without_image": -5.0, "without_image_low": -6.0, "without_image_high": -4.0}
    published = {"without_image": -5.87, "without_image_low": None, "without_image_high": None}
    by_input = pd.DataFrame(
        [
            {"source": "here", "input": "image", **change},
            {"source": "published", "input": "image", **published},
        ]
    )
    by_value = by_input.rename(columns={"input": "value"})
    words = pd.DataFrame(
        {"value": ["male", "male", "female"], "share": [0.1, 0.3, 0.2], "frequent": ["a, b", "c", "d"]}
    )
    return {
        "accuracy": accuracy,
        "changes_by_input": by_input,
        "changes_by_value": by_value,
        "words": words,
    }


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    known = SimpleNamespace(fidelity=make_interpreted("Raw").fidelity)
    monkeypatch.setattr(comparison, "_interpreted", lambda _, called: {called["raw"]: known})
    claim = Claim("More than random", "SAE", 0.1, 1, 0.2, 0.1, 0.3, "random | features", "modalens study x")
    monkeypatch.setattr(comparison, "claims_of_runs", lambda *_: [claim])
    run = RunFolder(tmp_path)
    saved(run, "removal", "raw", removal=removal_table())
    saved(run, "gender", "sae", **gender_tables())
    rates = {"rate": 0.5, "rate_low": 0.4, "rate_high": 0.6}
    sets = [("undefended", 0.7326), ("image", 0.6271), ("largest variance", None)]
    success = pd.DataFrame([{"set": name, "published": rate, **rates} for name, rate in sets])
    saved(run, "adversarial", "raw", success=success)
    return compare(run, declip=run, removal=run)


def row(found: Comparison, table: str, of: str, measure: str) -> Any:
    rows = found.numbers[found.numbers["table"].str.contains(table, regex=False)]
    return rows[(rows["of"] == of) & (rows["measure"] == measure)].iloc[0]


def test_embsim_stands_beside_the_published_one_in_the_published_form(found: Comparison) -> None:
    fidelity = make_interpreted("Raw").fidelity
    elementwise = row(found, "Tables A1", "CLIP", "EmbSim (elementwise), images")
    assert elementwise["here"] == fidelity.average("embsim_elementwise", "image").mean
    assert elementwise["published"] == 0.11
    other = row(found, "without a published", "CLIP", "EmbSim as ratio of means, images")
    assert other["here"] == fidelity.average("embsim", "image").mean
    assert isnan(other["published"])
    assert isnan(other["difference"])


def test_numbers_of_every_version_appear(found: Comparison) -> None:
    assert row(found, "version 1, Tables 1 and 2", "CLIP", "WinRate, images")["published"] == 0.652
    between = row(found, "version 1, Tables 1 and 2", "DeCLIP", "WinRate, difference of images and texts")
    assert between["published"] == 0.158
    assert [
        row(found, "Removal", "features", f"{name} class")["published"] for name in ("image", "text")
    ] == [
        426,
        554,
    ]
    assert row(found, "Removal", "features", "cross class")["difference"] == 6
    assert row(found, "A.5.1", "image", "accuracy, whole")["published"] == 0.834
    assert row(found, "A.5.1", "text", "accuracy, whole")["published"] == 0.734
    assert row(found, "Table 6", "text", "accuracy, without text")["published"] == 0.639
    assert row(found, "Table 8", "undefended", "success")["published"] == 0.8
    assert row(found, "Table 3", "undefended", "success")["published"] == 0.7326
    assert "largest variance" not in set(found.numbers["of"])


def test_one_image_with_every_request_is_what_was_published(tmp_path: Path, found: Comparison) -> None:
    run, rates = RunFolder(tmp_path), {"rate": 0.9, "rate_low": 0.8, "rate_high": 1.0}
    success = pd.DataFrame([{"set": "undefended", "published": 0.7326, **rates}])
    saved(run, "adversarial-one-image", "raw", success=success)
    assert row(found, "Table 3", "undefended", "success")["here"] == 0.5
    assert row(compare(run), "Table 3", "undefended", "success")["here"] == 0.9


def test_gender_told_the_papers_way_stands_beside_the_published_changes(
    tmp_path: Path, found: Comparison
) -> None:
    assert not found.numbers["table"].str.contains("papers' way").any()
    way = {"their_way": -4.0, "their_way_low": -9.0, "their_way_high": 1.0}
    cells = {"input": "image", "value": "all", **way}
    rows = [
        {**cells, "without": "image", "published": -5.87},
        {**cells, "value": "old", "without": "text", "published": None},
    ]
    run = RunFolder(tmp_path)
    saved(run, "gender", "sae", **gender_tables(), published_way=pd.DataFrame(rows))
    table = compare(run).numbers
    table = table[table["table"] == "Gender, the papers' way"]
    (found_row,) = table.to_dict("records")
    assert (found_row["here"], found_row["published"], found_row["of"]) == (-4.0, -5.87, "all, images")


def test_words_of_both_stand_in_one_table(found: Comparison) -> None:
    assert found.words.to_dict("records")[:3] == [
        {"from": "here", "share": 0.1, "words": "a, b"},
        {"from": "here", "share": 0.3, "words": "c"},
        {
            "from": "published",
            "share": 0.1,
            "words": "attends, party, hip, game, comedian, city, black, artist",
        },
    ]
    assert "| published | 0.24 | player, football" in as_markdown(found)


def test_a_comparison_of_stand_ins_says_so_in_its_heading(found: Comparison, tmp_path: Path) -> None:
    assert as_markdown(found).startswith("# Published numbers beside those measured here\n")
    run = RunFolder(tmp_path)
    run.mark_stand_ins()
    marked = compare(run)
    assert as_markdown(marked).startswith("# Stand-ins, not results")
    assert "mean nothing" in as_markdown(marked)
    write_comparison(marked, tmp_path / "comparison")
    assert '"stand_ins": true' in (tmp_path / "comparison/comparison.json").read_text()


def test_declip_has_a_matched_and_an_unmatched_twin(found: Comparison, tmp_path: Path) -> None:
    assert row(found, "DeCLIP less CLIP", UNMATCHED, "EmbSim (elementwise), images")[
        "published"
    ] == pytest.approx(0.06 - 0.11)
    assert not found.numbers["of"].str.contains("another objective alone").any()
    assert any("was not measured; name it" in each for each in found.matching)
    run = RunFolder(tmp_path)
    with_twin = compare(run, declip=run, matched=run)
    rows = with_twin.numbers[with_twin.numbers["of"].str.contains("another objective alone")]
    assert len(rows) == 8
    here = rows.dropna(subset="here")
    assert len(here) >= 4
    assert (here["here"] == 0).all()
    assert (here["low"] < 0).all()
    assert rows["published"].isna().all()
    written = as_markdown(with_twin)
    assert "DeCLIP against the CLIP of its own release: matched." in written
    assert "DeCLIP against OpenAI's CLIP, as published: not matched." in written


def test_it_ends_with_the_claims(found: Comparison, tmp_path: Path) -> None:
    written = as_markdown(found)
    assert written.index("## Claims") > written.index("## Words")
    assert (
        "| More than random | SAE | 0.100 | 0.200 | 0.100 to 0.300 | random / features | holds |" in written
    )
    assert "A claim holds where the 95 % interval" in written
    write_comparison(found, tmp_path / "comparison")
    document = json.loads((tmp_path / "comparison/comparison.json").read_text(encoding="utf-8"))
    (claim,) = document["claims"]
    assert (claim["verdict"], claim["value"], claim["control_low"]) == ("holds", 0.2, None)


def test_nothing_to_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_interpreted", lambda *_: {})
    with pytest.raises(ModalensError, match="interpret it first"):
        compare(RunFolder(tmp_path))
