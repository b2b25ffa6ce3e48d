"""The page of claims: each verdict follows from its row."""

import dataclasses
from math import isnan, nan
from pathlib import Path

import pandas as pd
import pytest

from modalens.report import ReportData, StudyOf
from modalens.report.sections import claims
from modalens.report.sections.claims.rows import claims_of
from modalens.report.sections.claims.verdicts import detectable, verdict
from modalens.studies.result import StudyResult
from tests.interpreted import quick_page


@pytest.mark.parametrize(
    ("sign", "low", "high", "expected"),
    [
        (1, 0.1, 0.2, "holds"),
        (-1, -0.2, -0.1, "holds"),
        (1, -0.2, -0.1, "does not hold"),
        (-1, 0.1, 0.2, "does not hold"),
        (1, -0.1, 0.2, "not decided"),
        (-1, 0.0, 0.2, "not decided"),
        (1, nan, nan, "not measured"),
    ],
)
def test_the_rule(sign: int, low: float, high: float, expected: str) -> None:
    assert verdict(sign, low, high) == expected


def test_the_effect_that_would_have_been_seen() -> None:
    """2.8 standard errors, of an interval that is 3.92 wide."""
    assert detectable(-1.96, 1.96) == pytest.approx(2.8, abs=0.01)
    assert isnan(detectable(nan, nan))


def removal(low: float, high: float) -> StudyResult:
    row = {"modality": "image", "without": "image"}
    for end in ("", "_energy"):
        row |= {f"random{end}": 0.8, f"difference{end}": (low + high) / 2}
        row |= {f"difference{end}_low": low, f"difference{end}_high": high}
    return StudyResult("removal", "Removal", {"removal": pd.DataFrame([row])}, [], {})


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.3, -0.1, "holds"), (0.1, 0.3, "does not hold"), (-0.1, 0.3, "not decided")],
)
def test_rows_take_what_the_run_has(
    data: ReportData, tmp_path: Path, low: float, high: float, expected: str
) -> None:
    with_study = dataclasses.replace(data, studies=[StudyOf("SAE", data.main.name, removal(low, high))])
    found = [each for each in claims_of(with_study) if each.claim.startswith("Without image-dominant")]
    assert [each.verdict for each in found] == [expected] * 2
    assert found[0].published == pytest.approx(-0.007)
    (section,) = claims.sections(with_study)
    rows = section.tables["claims"]
    for row in rows.to_dict("records"):
        assert row["verdict"] == verdict(row["sign"], row["low"], row["high"])
    markup = quick_page(with_study, tmp_path)
    assert f">{expected}" in markup
    assert "not measured: run <code>modalens study top-m RUN</code>" in markup
