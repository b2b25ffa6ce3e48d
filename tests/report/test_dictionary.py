"""What training a dictionary adds, in the report."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from modalens.report import DictionaryBaseline, ReportData, StudyOf
from modalens.report.headline import headline
from modalens.report.sections.dictionary.sentences import headline as dictionary_headline
from modalens.report.sections.dictionary.sentences import statements
from modalens.studies.result import StudyResult
from tests.interpreted import Part, make_interpreted, quick_page
from tests.report.test_learned import features


def removal(drop: float) -> StudyResult:
    rows = [
        {"modality": side, "without": side, "drop": drop, "drop_low": drop - 0.01, "drop_high": drop + 0.01}
        for side in ("image", "text")
    ]
    return StudyResult("removal", "Removal", {"removal": pd.DataFrame(rows)}, [], {})


@pytest.fixture(scope="module")
def beside(data: ReportData) -> ReportData:
    """An autoencoder beside a random dictionary that means nothing, and one that means as much."""
    main = dataclasses.replace(
        data.main,
        learned=[features("SAE", 0.5, 0)],
        interpreted=[make_interpreted("Raw", meaningful=False), make_interpreted("SAE", seed=1)],
        dictionaries=[
            DictionaryBaseline(
                "SAE",
                features("SAE, frozen decoder", 0.3, 4),
                make_interpreted("SAE, frozen decoder", meaningful=False),
            ),
            DictionaryBaseline("SAE", features("SAE, PCA", 0.2, 5), make_interpreted("SAE, PCA", seed=2)),
        ],
    )
    studies = [StudyOf("SAE", "Main", removal(0.2)), StudyOf("SAE, PCA", "Main", removal(0.1), "SAE")]
    return dataclasses.replace(data, main=main, studies=studies)


def test_sentences_name_what_is_beaten_and_what_is_not(beside: ReportData) -> None:
    said = statements(beside)
    mono = [each for each in said if each.startswith("Mono on images of SAE")]
    assert len(mono) == 1
    assert "above that of frozen decoder (" in mono[0]
    assert "within the sampling error of that of PCA (" in mono[0]
    assert "adds nothing" not in mono[0]
    (verdicts,) = (each for each in said if "halves of split concepts" in each)
    assert "with pairs shuffled), beside" in verdicts
    assert any("unexplained, beside 30\u00a0% and 30\u00a0% by frozen decoder" in each for each in said)
    assert any("loses 0.200 of accuracy (0.190 to 0.210), beside 0.100 of PCA." in each for each in said)
    ((name, head),) = dictionary_headline(beside)
    assert name == "SAE"
    assert head.startswith(
        "Beside two dictionaries of its size that are random in part or not trained, the trained SAE has"
    )


def test_where_no_baseline_is_beaten_training_adds_nothing(beside: ReportData) -> None:
    main = dataclasses.replace(
        beside.main, dictionaries=beside.main.dictionaries[1:], interpreted=beside.main.interpreted
    )
    mono = [
        each
        for each in statements(dataclasses.replace(beside, main=main))
        if each.startswith("Mono on images")
    ]
    assert "above that of Raw" in mono[0], "the embeddings' own dimensions are no dictionary"
    assert (
        "adds nothing to it that these pairs can tell; the intervals of SAE and PCA would part at" in mono[0]
    )


def test_the_section_has_a_row_each_and_is_left_out_without_baselines(
    beside: ReportData, tmp_path: Path
) -> None:
    page = quick_page(beside, tmp_path)
    part = Part(page, "dictionary")
    for name in (
        "SAE",
        "SAE, frozen decoder",
        "SAE, PCA",
        "Raw",
        "Image accuracy lost without image-dominant features",
    ):
        assert name in part.text
    assert "SAE, PCA, Main" in Part(page, "learned").text
    assert dictionary_headline(beside)[0][1] in page
    main = dataclasses.replace(beside.main, dictionaries=[])
    bare = dataclasses.replace(beside, main=main)
    assert 'id="dictionary"' not in quick_page(bare, tmp_path / "bare")
    assert dictionary_headline(bare) == []
    assert headline(bare)
