"""What training a dictionary adds to what random and classical ones of its size show."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.section import Section
from modalens.report.sections.dictionary.sentences import headline, statements
from modalens.report.sections.dictionary.tables import STUDIED, compared, dictionary_tables, rows


def sections(data: ReportData) -> Sequence[Section]:
    """Learned features beside their baselines, if there are any."""
    if not compared(data):
        return []
    found = rows(data)
    lines = headline(data)
    values = {
        "statements": statements(data),
        "lines": lines,
        "rows": found,
        "studied": {name: head for name, head in STUDIED.items() if any(name in row for row in found)},
    }
    gist = next((line for _, line in lines), "")
    heading = "What training the dictionary adds"
    return [Section("dictionary", heading, __name__, values, tables=dictionary_tables(data), gist=gist)]
