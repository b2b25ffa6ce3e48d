"""The report as one self-contained HTML page, with its figures and tables as files beside it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from modalens.errors import ModalensError
from modalens.report.charts import score_sets
from modalens.report.data import ReportData
from modalens.report.environment import environment, script_hash, source
from modalens.report.headline import headline
from modalens.report.keys import key_numbers
from modalens.report.naming import NULL_NAME, ROLES, Naming
from modalens.report.overview import MOST_SETS, added_by_training, set_lines
from modalens.report.rendering import drawing, inline, save, to_svg
from modalens.report.section import TEMPLATE, Section
from modalens.report.sections.registry import sections_of
from modalens.report.strips import strip
from modalens.report.table_files import write_tables
from modalens.store.atomic import write_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drawn:
    """A figure in its two shapes, and what it shows in words."""

    wide: Markup
    narrow: Markup
    alt: str


def write_report(data: ReportData, out: Path) -> Path:
    """Write ``report.html``, ``figures/*.{png,svg}`` and ``tables/*.{csv,parquet}`` into a folder.

    The page is whole in itself: it opens offline and loads nothing. The same data give the same bytes. What is not
    shown is said on the page and in a warning.

    Parameters
    ----------
    data
        What the report says.
    out
        Folder to write into; made if it is not there. Files of an earlier report are overwritten.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ModalensError
        If the folder cannot be written to, or a preview is no picture or sound that browsers know.
    """
    out = Path(out)
    for what, why in data.not_shown:
        logger.warning("The report does not show %s: %s", what, why)
    try:
        sections = sections_of(data)
        drawn = _draw(sections, out / "figures")
        write_tables(sections, out / "tables")
        page = out / "report.html"
        write_text(page, _render(data, sections, drawn))
    except OSError as error:
        raise ModalensError(f"The report cannot be written to {out}: {error.strerror or error}.") from error
    logger.info("report written to %s (%.1f MB)", page, page.stat().st_size / 1e6)
    return page


def _draw(sections: Sequence[Section], folder: Path) -> dict[str, Drawn]:
    drawn = {}
    with drawing():
        for each in (each for section in sections for each in section.drawings):
            # Matplotlib escapes the names it writes, so its SVG is safe as it stands.
            drawn[each.name] = Drawn(
                Markup(inline(save(each.draw(False), folder, each.name), f"{each.name}-wide")),
                Markup(inline(to_svg(each.draw(True)), f"{each.name}-narrow")),
                each.alt,
            )
    return drawn


def _render(data: ReportData, sections: Sequence[Section], drawn: Mapping[str, Drawn]) -> str:
    naming = Naming(*data.modalities)
    shared = {
        "data": data,
        "naming": naming,
        "first": naming.first,
        "second": naming.second,
        "scores": data.scores,
        "estimator": data.estimator,
        "roles": ROLES,
        "null_name": NULL_NAME,
    }
    # The page's own first: it opens the chapter that an address asks for, which others then show.
    scripts = [
        source("page.js"),
        *(source(f"{each.package}/{each.script}") for each in sections if each.script),
    ]
    sets = set_lines(data)
    return _template("page.html.j2").render(
        **shared,
        headline=headline(data),
        key_numbers=key_numbers(data),
        strips=[strip(each, naming) for each in score_sets(data.encoders, data.estimator)],
        sections=sections,
        chapters=[(each, _render_section(each, drawn, shared)) for each in sections],
        sets=sets[:MOST_SETS],
        sets_left=len(sets[MOST_SETS:]),
        added=added_by_training(data)[:MOST_SETS],
        scripts=[Markup(each) for each in scripts],
        script_hashes=[script_hash(each) for each in scripts],
        styles=[Markup(source(f"{each.package}/{each.style}")) for each in sections if each.style],
    )


def _render_section(section: Section, drawn: Mapping[str, Drawn], shared: Mapping[str, Any]) -> Markup:
    figures = {each.name: drawn[each.name] for each in section.drawings}
    values = {**shared, "section": section, "figures": figures, **section.values}
    return Markup(_template(f"{section.package}/{TEMPLATE}").render(**values))


def _template(name: str) -> Template:
    return environment().get_template(name)
