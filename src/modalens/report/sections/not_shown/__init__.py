"""What the run holds and the report leaves out, and why."""

from collections.abc import Sequence

import pandas as pd

from modalens.report.data import ReportData
from modalens.report.naming import count
from modalens.report.section import Section


def sections(data: ReportData) -> Sequence[Section]:
    """Results that do not belong to what is shown, if there are any."""
    if not data.not_shown:
        return []
    table = pd.DataFrame(list(data.not_shown), columns=["what", "why"], dtype=str)
    gist = f"{count(len(table))} results of the run that do not follow from what this page shows."
    return [Section("not-shown", "Not shown", __name__, tables={"not_shown": table}, gist=gist)]
