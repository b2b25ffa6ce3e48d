"""How many features each class rule calls one-sided."""

from collections.abc import Sequence

from modalens.dominance import RULES
from modalens.report.data import ReportData
from modalens.report.naming import Naming
from modalens.report.section import Drawing, Section
from modalens.report.sections.classes.figures import class_counts
from modalens.report.sections.classes.sentences import count_statements
from modalens.report.sections.classes.tables import class_table


def sections(data: ReportData) -> Sequence[Section]:
    """Class counts of every encoder under every rule."""
    naming = Naming(*data.modalities)
    scored = list(data.scored.items())
    drawing = Drawing(
        "class_counts",
        lambda narrow: class_counts(scored, naming, narrow=narrow),
        "Stacked bars of class counts for each encoder under every rule; the numbers are in the tables below.",
    )
    statements = count_statements(data, naming)
    gist = next((each for each in statements if each.startswith("twofold")), "")
    values = {"rules": RULES, "statements": statements}
    tables = {"classes": class_table(data)}
    return [Section("classes", "How many features are one-sided", __name__, values, [drawing], tables, gist)]
