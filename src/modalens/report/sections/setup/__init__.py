"""What is measured, and what each number stands beside."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.media import data_url, is_sound
from modalens.report.naming import listing
from modalens.report.section import Section


def sections(data: ReportData) -> Sequence[Section]:
    """The encoders, and a few pairs."""
    samples = [(each, data_url(each.preview, each.id), is_sound(each.preview)) for each in data.samples]
    heading = "What is measured, and beside what"
    others = [each.spoken for each in data.baselines] + ["swapped labels"] * (data.scores.null is not None)
    gist = f"What R is, drawn; {data.main.spoken}{f' beside {listing(others)}' if others else ''}."
    return [Section("setup", heading, __name__, {"samples": samples}, gist=gist)]
