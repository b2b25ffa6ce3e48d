"""Terms and formulas."""

from collections.abc import Sequence

from modalens.dominance import ESTIMATORS, RULES
from modalens.report.data import ReportData
from modalens.report.section import Section

# Those whose formulas the template has.
_WRITTEN = ("mean_ratio", "energy_ratio", "signed_ratio", "mu_sigma", "twofold")


def sections(data: ReportData) -> Sequence[Section]:  # noqa: ARG001 (every section is given the data)
    """Every term that the page uses."""
    others = {name: each.about for name, each in (ESTIMATORS | RULES).items() if name not in _WRITTEN}
    gist = "Every score, class and verdict of this page in a line each."
    return [Section("glossary", "Terms and formulas", __name__, {"others": others}, gist=gist)]
