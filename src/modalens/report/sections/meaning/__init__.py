"""How interpretable the features are, and whether one-sided ones are private or split."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.naming import ROLES, Naming
from modalens.report.section import Drawing, Section
from modalens.report.sections.meaning.figures import along_training, bars, mono
from modalens.report.sections.meaning.sentences import (
    judge_sentences,
    meaning_lines,
    meaning_statements,
    verdict_statements,
)
from modalens.report.sections.meaning.tables import (
    METRICS,
    VERDICTS,
    average_rows,
    fidelity_rows,
    meaning_tables,
    names,
    overview_rows,
    published,
    trained,
    verdict_rows,
)


def sections(data: ReportData) -> Sequence[Section]:
    """Monosemanticity, fidelity and verdicts, if features were interpreted."""
    if not names(data):
        return []
    naming = Naming(*data.modalities)
    drawings = [
        Drawing(
            "mono",
            lambda narrow: mono(data, naming, narrow=narrow),
            "Dots with intervals of monosemanticity by class; the numbers are in the tables below.",
        )
    ]
    drawings.append(
        Drawing(
            "mono_bars",
            lambda narrow: bars(data, naming, narrow=narrow),
            "Bars of Mono over all features and of fidelity; the numbers are in the tables below.",
        )
    )
    if trained(data):
        drawings.append(
            Drawing(
                "mono_training",
                lambda narrow: along_training(data, naming, narrow=narrow),
                "Lines of EmbSim and WinRate along training; see tables/monosemanticity_along_training.csv.",
            )
        )
    lines = meaning_lines(data)
    values = {
        "lines": lines,
        "statements": meaning_statements(data),
        "verdict_statements": verdict_statements(data),
        "judges": judge_sentences(data),
        "overview": overview_rows(data),
        "average_rows": average_rows,
        "fidelity_rows": fidelity_rows,
        "verdict_rows": verdict_rows(data),
        "verdicts": VERDICTS,
        "mono_metrics": METRICS,
        "published": published(data),
        "role_of": {naming.label(role): role for role in ROLES},
    }
    gist = f"{lines[-1][0]}: {lines[-1][1]}"
    heading = "How interpretable the features are"
    return [Section("meaning", heading, __name__, values, drawings, meaning_tables(data), gist)]
