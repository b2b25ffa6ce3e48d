"""What the run holds and the report leaves out, and why."""

from collections.abc import Sequence

import pandas as pd

from modalens.report.data import ReportData
from modalens.report.section import Section


def sections(data: ReportData) -> Sequence[Section]:
    """Results that do not belong to what is shown, if there are any."""
    if not data.not_shown:
        return []
    table = pd.DataFrame(list(data.not_shown), columns=["what", "why"], dtype=str)
    return [Section("not-shown", "Not shown", __name__, tables={"not_shown": table})]
