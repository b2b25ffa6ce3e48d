"""The claims of the papers, one a row: what was published, what this run measures, and whether the claim holds here."""

from collections.abc import Sequence

import pandas as pd

from modalens.report.data import ReportData
from modalens.report.section import Section
from modalens.report.sections.claims.rows import Claim, claims_of
from modalens.report.sections.claims.verdicts import NOT_MEASURED


def sections(data: ReportData) -> Sequence[Section]:
    """Every claim, where at least one was measured."""
    claims = claims_of(data)
    if all(each.verdict == NOT_MEASURED for each in claims):
        return []
    return [
        Section(
            "claims", "What the papers claim", __name__, {"claims": claims}, (), {"claims": _frame(claims)}
        )
    ]


def _frame(claims: Sequence[Claim]) -> pd.DataFrame:
    return pd.DataFrame(
        [{**vars(each), "verdict": each.verdict, "detectable": each.detectable} for each in claims]
    )
