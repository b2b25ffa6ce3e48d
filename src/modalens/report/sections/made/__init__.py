"""How the report was made: what was skipped, provenance, whose data these are, how to cite."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modalens.report.data import ReportData
from modalens.report.section import Section

MAX_SKIPPED_ROWS = 100


def sections(data: ReportData) -> Sequence[Section]:
    """Provenance."""
    entries = data.provenance.items()
    values = {
        "most_skipped": MAX_SKIPPED_ROWS,
        "plain": {name: value for name, value in entries if not isinstance(value, Mapping)},
        "nested": {name: value for name, value in entries if isinstance(value, Mapping) and value},
    }
    skipped = pd.DataFrame(list(data.skipped), columns=["id", "reason"], dtype=str)
    gist = "Versions, models, data and settings, whose data and weights these are, and how to cite."
    return [Section("made", "How this was made", __name__, values, tables={"skipped": skipped}, gist=gist)]
