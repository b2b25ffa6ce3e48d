"""Terms and formulas."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.section import Section


def sections(data: ReportData) -> Sequence[Section]:  # noqa: ARG001 (every section is given the data)
    """Every term that the page uses."""
    return [Section("glossary", "Terms and formulas", __name__)]
