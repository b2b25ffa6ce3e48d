"""Dictionaries of several sizes side by side, and the size that is recommended."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.naming import Naming
from modalens.report.section import Drawing, Section
from modalens.report.sections.sweep.figures import pareto
from modalens.report.sections.sweep.sentences import statements
from modalens.report.sections.sweep.tables import rows, sweep_tables


def sections(data: ReportData) -> Sequence[Section]:
    """The sweep of the main encoder's run, if it holds one."""
    if data.sweep is None:
        return []
    sweep, naming = data.sweep, Naming(*data.modalities)
    drawing = Drawing(
        "sweep",
        lambda narrow: pareto(sweep, narrow=narrow),
        "Dictionary sizes by the variance they leave unexplained and the share of features that another seed finds; "
        "the numbers are in the table below.",
    )
    said = statements(sweep, naming)
    values = {
        "statements": said,
        "rows": rows(sweep),
        "sweep": sweep,
        "measured_mono": bool(sweep.table["mono_image"].notna().any()),
    }
    heading = "Which size of dictionary"
    return [Section("sweep", heading, __name__, values, [drawing], sweep_tables(sweep), said[0])]
