"""How far apart the modalities lie as a whole, and whether retrieval suffers."""

from collections.abc import Sequence

import numpy as np

from modalens.report.data import ReportData
from modalens.report.headline import headline
from modalens.report.naming import METRICS
from modalens.report.section import Drawing, Section
from modalens.report.sections.gap.figures import gap
from modalens.report.sections.gap.sentences import gap_statements, retrieval_statements
from modalens.report.sections.gap.tables import gap_table, recalls, retrieval_table


def sections(data: ReportData) -> Sequence[Section]:
    """The gap of every encoder."""
    chance = data.main.retrieval.chance if data.main.retrieval else {}
    values = {
        "metrics": METRICS,
        "gap_statements": gap_statements(data),
        "retrieval_statements": retrieval_statements(data),
        "retrieval": recalls(data),
        "chance": chance,
        "ranks": sorted(chance),
        "unknown": (np.nan, np.nan),
        "unknown3": (np.nan, np.nan, np.nan),
    }
    drawing = Drawing(
        "gap",
        lambda narrow: gap(data.encoders, narrow=narrow),
        "Dot and interval of four gap measures for each encoder; the numbers are in the table below.",
    )
    tables = {"gap": gap_table(data), "retrieval": retrieval_table(data)}
    return [
        Section(
            "gap",
            "The gap between the modalities",
            __name__,
            values,
            [drawing],
            tables,
            gist=headline(data)[0],
        )
    ]
