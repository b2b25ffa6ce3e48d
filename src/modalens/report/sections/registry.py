"""The sections of the report in the order of the page.

A section is a package with a function ``sections`` that gives what it shows of a report's data, none where there is
nothing to show, and with its template, ``section.html.j2``. To add one, add its package here and a line below.
"""

from collections.abc import Callable, Sequence

from modalens.report.data import ReportData
from modalens.report.section import Section
from modalens.report.sections import (
    claims,
    classes,
    dictionary,
    estimators,
    features,
    gallery,
    gap,
    glossary,
    learned,
    made,
    meaning,
    not_shown,
    scores,
    setup,
    studies,
    sweep,
)

SECTIONS: list[Callable[[ReportData], Sequence[Section]]] = [
    not_shown.sections,
    setup.sections,
    gallery.sections,
    gap.sections,
    scores.sections,
    classes.sections,
    learned.sections,
    dictionary.sections,
    meaning.sections,
    sweep.sections,
    estimators.sections,
    studies.sections,
    claims.sections,
    features.sections,
    made.sections,
    glossary.sections,
]


def sections_of(data: ReportData) -> list[Section]:
    """Every section that has something to show of a report's data."""
    return [section for each in SECTIONS for section in each(data)]
