"""Every table of the report that speaks of learned features has a dictionary baseline beside them."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from modalens.report import DictionaryBaseline, ReportData, StudyOf
from modalens.report.sections.claims import Evidence, claims_markdown, claims_of
from modalens.report.sections.registry import sections_of
from modalens.studies.registry import study_names
from modalens.studies.result import StudyResult
from tests.interpreted import Part, make_interpreted, quick_page
from tests.report.test_learned import features
from tests.swept import make_sweep

# Tables that have none, and why; docs/howto/baselines.md says the same.
WITHOUT = {
    "names": "baselines get no names",
    "published_monosemanticity": "published numbers",
    "top-m_ranking": "an order; differences to the baselines stand in top-m_comparisons",
}
BASELINES = ("SAE, frozen decoder", "SAE, PCA")


def removal(drop: float) -> StudyResult:
    """As the study of removal says it, with as much lost beside random features."""
    row = {"accuracy": 0.7, "drop": drop, "drop_low": drop - 0.01, "drop_high": drop + 0.01}
    for end in ("", "_energy"):
        row |= {f"random{end}": 0.8, f"difference{end}": -drop}
        row |= {f"difference{end}_low": -drop - 0.01, f"difference{end}_high": -drop + 0.01}
    rows = [{"modality": side, "without": side, **row} for side in ("image", "text")]
    return StudyResult("removal", "Removal", {"removal": pd.DataFrame(rows)}, [], {})


@pytest.fixture(scope="module")
def beside(data: ReportData) -> ReportData:
    """An autoencoder with two baselines, studied with them, and a sweep."""
    main = dataclasses.replace(
        data.main,
        learned=[features("SAE", 0.5, 0)],
        interpreted=[
            make_interpreted("Raw", meaningful=False),
            make_interpreted("SAE", seed=1, steps=(5, 10)),
        ],
        dictionaries=[
            DictionaryBaseline("SAE", features(name, 0.3, seed), make_interpreted(name, seed=seed))
            for seed, name in enumerate(BASELINES, start=4)
        ],
    )
    left = {"l2m_unbiased": [0.5], "l2m_unbiased_low": [0.4], "l2m_unbiased_high": [0.6]}
    closed = pd.DataFrame({"set": ["one-sided"], "kind": ["class"], **left})
    studies = [
        StudyOf(name, "Main", study, "SAE" if name in BASELINES else "")
        for drop, name in enumerate(("SAE", *BASELINES), start=1)
        for study in (
            removal(0.1 * drop),
            StudyResult("close-gap", "Closing", {"sets": closed}, [], {}),
        )
    ]
    return dataclasses.replace(
        data, main=main, studies=studies, sweep=make_sweep({(32, 4): (0.8, 0.5)}, mono=0.4)
    )


def test_every_table_file_names_a_baseline_beside_the_features(beside: ReportData) -> None:
    seen = []
    for section in sections_of(beside):
        for name, frame in section.tables.items():
            cells = {str(value) for column in frame.select_dtypes("object") for value in frame[column]}
            if "SAE" not in cells and not name.startswith("sweep"):
                continue
            seen.append(name)
            named = cells & {*BASELINES} or any("frozen_decoder" in column for column in frame.columns)
            told = any("frozen decoder" in cell and "PCA" in cell for cell in cells)
            assert named or told or name in WITHOUT, name
    assert {
        "learned_scores",
        "learned_quality",
        "learned_training",
        "dictionary_baselines",
        "monosemanticity",
        "monosemanticity_along_training",
        "fidelity",
        "verdicts",
        "sweep",
        "claims",
        "removal_removal",
        "close-gap_sets",
    } <= {*seen}


def test_every_table_of_the_page_does_and_the_overview_says_what_training_adds(
    beside: ReportData, tmp_path: Path
) -> None:
    page = quick_page(beside, tmp_path)
    overview = Part(page, "overview")
    assert "Beside two dictionaries of its size that are random in part or not trained" in overview.text
    assert "of the variance unexplained (the least of them, " in overview.text
    tables = 0
    for section in sections_of(beside):
        for rows in Part(page, section.anchor).tables:
            cells = [cell for row in rows for cell in row]
            if any(cell.split(",")[0].split(" | ")[0] == "SAE" for cell in cells):
                tables += 1
                assert any("frozen decoder" in cell or "PCA" in cell for cell in cells), section.anchor
    assert tables > 8
    (own,) = (row for row in overview.tables[0] if row[0] == "SAE")
    assert sum("baseline" in cell for cell in own) == 3, "Mono of either side, and halves of split concepts"


def test_without_baselines_the_overview_says_what_is_missing(beside: ReportData, tmp_path: Path) -> None:
    bare = dataclasses.replace(beside, main=dataclasses.replace(beside.main, dictionaries=[]), studies=[])
    text = Part(quick_page(bare, tmp_path), "overview").text
    assert "No dictionary that is random in part or not trained stands beside SAE" in text
    assert "modalens train baselines" in text


def test_the_docs_name_every_study() -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "baselines.md").read_text(encoding="utf-8")
    for name in study_names():
        assert f"`{name}`" in page, name


def test_claims_have_the_same_effect_of_each_baseline(beside: ReportData, tmp_path: Path) -> None:
    claims = claims_of(Evidence.of(beside))
    assert {each.features for each in claims} <= {"", "Raw", "SAE"}
    removed = [each for each in claims if each.claim.startswith("Without") and each.features == "SAE"]
    assert [each.value for each in removed if "accuracy falls" in each.claim] == [-0.1] * 4
    assert all(each.dictionaries == "frozen decoder -0.200, PCA -0.300" for each in removed)
    assert (
        "dictionary baselines: frozen decoder −0.200, PCA −0.300"
        in Part(quick_page(beside, tmp_path), "claims").text
    )
    assert "without the class 0.700; frozen decoder -0.200, PCA -0.300 |" in claims_markdown(claims)
