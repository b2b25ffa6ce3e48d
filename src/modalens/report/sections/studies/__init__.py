"""Every study of the run, with a section of its own."""

from collections.abc import Sequence

from modalens.pairs.modality import many
from modalens.report.charts import PageCanvas
from modalens.report.data import ReportData, StudyOf
from modalens.report.section import Drawing, Section
from modalens.report.sections.studies.shown import ShownStudy, shown_studies, study_tables
from modalens.studies.figure import StudyFigure
from modalens.studies.registry import study_figures


def sections(data: ReportData) -> Sequence[Section]:
    """A section for each study that was run."""
    return [_section(data, study) for study in shown_studies(data)]


def _section(data: ReportData, study: ShownStudy) -> Section:
    first, second = data.modalities
    drawings, captions = [], {}
    for each in study_figures(study.name):
        members = [member for member in study.members if each.fits(member.result) and not member.baseline_of]
        if any(member.encoder == data.main.name for member in members):
            drawings.append(_drawing(data, each, members))
            captions[each.name] = each.caption.format(
                first=first, second=second, firsts=many(first), seconds=many(second)
            )
    values = {"study": study, "captions": captions}
    anchor, tables = f"study-{study.name}", study_tables(study.members)
    gist = next((said[0] for said in study.statements.values() if said), "")
    return Section(anchor, study.title, __name__, values, drawings, tables, gist)


def _drawing(data: ReportData, figure: StudyFigure, members: Sequence[StudyOf]) -> Drawing:
    own, *others = (
        {each.features: each.result for each in members if each.encoder == encoder.name}
        for encoder in data.encoders
    )
    return Drawing(
        figure.name,
        lambda narrow: figure.draw(own, others, data.modalities, PageCanvas(narrow)),
        figure.alt,
    )
