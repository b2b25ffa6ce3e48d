"""Features learned on the embeddings, beside the embeddings' own."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.naming import Naming
from modalens.report.section import Drawing, Section
from modalens.report.sections.learned.figures import score_grid, training
from modalens.report.sections.learned.sentences import (
    beside_statements,
    learned_line,
    learned_statements,
    said_pairs,
)
from modalens.report.sections.learned.tables import (
    learned_tables,
    names,
    score_rows,
    shown_quality,
    shown_retrieval,
)


def sections(data: ReportData) -> Sequence[Section]:
    """Learned features of the main encoder, if it has any."""
    if not names(data):
        return []
    naming = Naming(*data.modalities)
    drawings = [
        Drawing(
            "learned_scores",
            lambda narrow: score_grid(data, naming, narrow=narrow),
            "Histograms of the score for embeddings and learned features; the numbers are in the table below.",
        )
    ]
    if any(each.log for each in data.main.learned):
        drawings.append(
            Drawing(
                "training",
                lambda narrow: training(data, naming, narrow=narrow),
                "Lines of active features over training; the numbers are in tables/learned_training.csv.",
            )
        )
    lines = [(each, learned_line(data, each)) for each in data.main.learned]
    gist = f"{lines[0][0].name}: {lines[0][1]}"
    values = {
        "lines": lines,
        "statements": [*beside_statements(data), *learned_statements(data)],
        "said_pairs": said_pairs,
        "rows": list(score_rows(data)),
        "quality": shown_quality(data),
        "retrieval": shown_retrieval(data),
    }
    return [
        Section("learned", "Features learned on top", __name__, values, drawings, learned_tables(data), gist)
    ]
