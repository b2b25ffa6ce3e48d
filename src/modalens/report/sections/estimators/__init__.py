"""Whether what one estimator says holds under the others."""

from collections.abc import Sequence

from modalens.dominance import RULES
from modalens.report.data import ReportData
from modalens.report.naming import Naming, capitalised, count, number_word
from modalens.report.section import Drawing, Section
from modalens.report.sections.estimators.figures import MAX_POINTS, estimators
from modalens.report.sections.estimators.sentences import estimator_statements
from modalens.report.sections.estimators.tables import estimator_table
from modalens.report.tails import live


def sections(data: ReportData) -> Sequence[Section]:
    """The main encoder by every estimator and rule."""
    naming = Naming(*data.modalities)
    table = estimator_table(data.main, data.estimator)
    drawings = []
    if len(data.main.estimators) > 1:
        drawings.append(
            Drawing(
                "estimators",
                lambda narrow: estimators(data.main, data.estimator, naming, narrow=narrow),
                "Scatter of scores by different estimators; rank correlations are in the table below.",
            )
        )
    features = live(data.scores)
    drawn = f" Of {count(features)} features, {count(MAX_POINTS)} evenly spaced ones are drawn."
    statements = estimator_statements(data)
    values = {
        "rules": RULES,
        "statements": statements,
        "rows": table.to_dict("records"),
        "note": drawn if features > MAX_POINTS else "",
    }
    heading = (
        f"{capitalised(_counted(len(data.main.dominance), 'estimator'))}, {_counted(len(RULES), 'rule')}"
    )
    return [
        Section(
            "estimators",
            heading,
            __name__,
            values,
            drawings,
            {"estimators": table},
            next(iter(statements), ""),
        )
    ]


def _counted(value: int, noun: str) -> str:
    return f"{number_word(value)} {noun}{'' if value == 1 else 's'}"
