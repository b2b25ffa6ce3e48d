"""Every feature with its score, to sort and to search."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.naming import Naming
from modalens.report.section import Section
from modalens.report.sections.features.tables import feature_rows, feature_table, other_rules


def sections(data: ReportData) -> Sequence[Section]:
    """The table of features."""
    scores = data.scores
    values = {
        "rows": feature_rows(scores, Naming(*data.modalities)),
        "other_rules": other_rules(scores),
        "class_counts": scores.counts(),
    }
    tables = {"features": feature_table(data.main, data.estimator)}
    return [Section("features", "Every feature", __name__, values, tables=tables, script="table.js")]
