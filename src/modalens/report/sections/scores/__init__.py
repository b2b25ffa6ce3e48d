"""How the scores of the main encoder spread, beside its baselines and swapped labels."""

from collections.abc import Sequence

from modalens.dominance.classes import moments
from modalens.report.charts import score_sets
from modalens.report.data import ReportData
from modalens.report.naming import Naming, number
from modalens.report.section import Drawing, Section
from modalens.report.sections.scores.figures import baselines, distribution
from modalens.report.sections.scores.sentences import describe_distribution, spread_statements
from modalens.report.sections.scores.tables import baseline_scores


def sections(data: ReportData) -> Sequence[Section]:
    """Histograms of the score."""
    naming = Naming(*data.modalities)
    caption = describe_distribution(data.scores, naming)
    drawings = [
        Drawing("mds_distribution", lambda narrow: distribution(data.scores, naming, narrow=narrow), caption)
    ]
    sets = score_sets(data.encoders, data.estimator)
    if len(sets) > 1:
        spreads = [f"{each.name}, spread {number(float(moments(each.score)[1]))}" for each in sets]
        drawings.append(
            Drawing(
                "mds_baselines",
                lambda narrow: baselines(sets, naming, narrow=narrow),
                "Small histograms of the score: " + "; ".join(spreads),
            )
        )
    statements = spread_statements(data)
    values = {"statements": statements, "caption": caption}
    tables = {"baseline_scores": baseline_scores(data)}
    return [
        Section(
            "scores", "How the scores spread", __name__, values, drawings, tables, next(iter(statements), "")
        )
    ]
