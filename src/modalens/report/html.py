"""The report as one self-contained HTML page, with its figures and tables as files beside it."""

import base64
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modalens.dominance import RULES
from modalens.dominance.classes import moments
from modalens.errors import ModalensError
from modalens.interpret import PUBLISHED
from modalens.report import (
    close_gap_figure,
    figures,
    learned,
    learned_figures,
    meaning,
    statements,
    studies,
    tables,
    views,
)
from modalens.report.data import ReportData
from modalens.report.gallery import HEADING, build_gallery
from modalens.report.keys import key_numbers
from modalens.report.naming import (
    METRICS,
    NULL_NAME,
    ROLES,
    Naming,
    capitalised,
    count,
    interval,
    number,
    percent,
)
from modalens.report.palette import css_variables
from modalens.report.rendering import drawing, inline, save, to_svg
from modalens.store.atomic import write_text
from modalens.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

MAX_SKIPPED_ROWS = 100
_OPTIONAL = (
    "mds_baselines",
    "estimators",
    "learned_scores",
    "training",
    "mono",
    "mono_training",
    "close_gap",
)
SECTIONS = {
    "setup": "What is measured, and beside what",
    "gap": "The gap between the modalities",
    "scores": "How the scores spread",
    "classes": "How many features are one-sided",
    "estimators": "Three estimators, two rules",
    "learned": "Features learned on top",
    "gallery": HEADING,
    "meaning": "How interpretable the features are",
    "features": "Every feature",
    "made": "How this was made",
    "glossary": "Terms and formulas",
}


@dataclass(frozen=True)
class Drawn:
    """A figure in its two shapes, and what it shows in words."""

    wide: Markup
    narrow: Markup
    alt: str


def write_report(data: ReportData, out: Path) -> Path:
    """Write ``report.html``, ``figures/*.{png,svg}`` and ``tables/*.{csv,parquet}`` into a folder.

    The page is whole in itself: it opens offline and loads nothing. The same data give the same bytes.

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
        If the folder cannot be written to, or a sample's thumbnail is no PNG, JPEG, WebP or GIF file.
    """
    out = Path(out)
    try:
        drawn = _draw(data, out / "figures")
        tables.write_tables(data, out / "tables")
        page = out / "report.html"
        write_text(page, _render(data, drawn))
    except OSError as error:
        raise ModalensError(f"The report cannot be written to {out}: {error.strerror or error}.") from error
    logger.info("report written to %s (%.1f MB)", page, page.stat().st_size / 1e6)
    return page


def _draw(data: ReportData, folder: Path) -> dict[str, Drawn]:
    naming = Naming(*data.modalities)
    scored = views.scored(data)
    sets = figures.score_sets(data.encoders, data.estimator)
    plans: dict[str, tuple[Callable[[bool], Figure], str]] = {
        "mds_distribution": (
            lambda narrow: figures.distribution(data.scores, naming, narrow=narrow),
            views.describe_distribution(data.scores, naming),
        ),
        "gap": (
            lambda narrow: figures.gap(data.encoders, narrow=narrow),
            "Dot and interval of four gap measures for each encoder; the numbers are in the table below.",
        ),
        "class_counts": (
            lambda narrow: figures.class_counts(list(scored.items()), naming, narrow=narrow),
            "Stacked bars of class counts for each encoder under both rules; the numbers are in the tables below.",
        ),
    }
    if len(sets) > 1:
        plans["mds_baselines"] = (
            lambda narrow: figures.baselines(sets, naming, narrow=narrow),
            "Small histograms of the score: "
            + "; ".join(f"{each.name}, spread {number(float(moments(each.score)[1]))}" for each in sets),
        )
    if len(data.main.estimators) > 1:
        plans["estimators"] = (
            lambda narrow: figures.estimators(data.main, data.estimator, naming, narrow=narrow),
            "Scatter of scores by different estimators; rank correlations are in the table below.",
        )
    if learned.names(data):
        plans["learned_scores"] = (
            lambda narrow: learned_figures.score_grid(data, naming, narrow=narrow),
            "Histograms of the score for embeddings and learned features; the numbers are in the table below.",
        )
        if any(each.log for each in data.main.learned):
            plans["training"] = (
                lambda narrow: learned_figures.training(data, naming, narrow=narrow),
                "Lines of active features over training; the numbers are in tables/learned_training.csv.",
            )
    if meaning.names(data):
        plans["mono"] = (
            lambda narrow: learned_figures.mono(data, naming, narrow=narrow),
            "Dots with intervals of monosemanticity by class; the numbers are in the tables below.",
        )
    if meaning.trained(data):
        plans["mono_training"] = (
            lambda narrow: learned_figures.mono_along_training(data, naming, narrow=narrow),
            "Lines of Mono along training; the numbers are in tables/monosemanticity_along_training.csv.",
        )
    if close_gap_figure.found(data):
        plans["close_gap"] = (
            lambda narrow: close_gap_figure.curves(data, naming, narrow=narrow),
            "Lines of RMG and R@10 as features are removed; the numbers are in tables/close-gap_curve.csv.",
        )
    drawn = {}
    with drawing():
        for name, (draw, alt) in plans.items():
            # Matplotlib escapes the names it writes, so its SVG is safe as it stands.
            drawn[name] = Drawn(
                Markup(inline(save(draw(False), folder, name), f"{name}-wide")),
                Markup(inline(to_svg(draw(True)), f"{name}-narrow")),
                alt,
            )
    return drawn


def _render(data: ReportData, drawn: Mapping[str, Drawn]) -> str:
    naming = Naming(*data.modalities)
    environment = _environment(naming)
    loader = environment.loader
    script = loader.get_source(environment, "table.js")[0] if loader else ""
    cards = [card for each in data.galleries for card in each.cards]
    top = max((len(side) for card in cards for side in (card.top_images, card.top_texts)), default=1)
    gallery = build_gallery(data.galleries, data.pictures, max(top, 1)) if data.galleries else None
    scores = data.scores
    provenance = dict(data.provenance)
    nested = {name: value for name, value in provenance.items() if isinstance(value, Mapping) and value}
    estimator_rows = tables.estimator_table(data.main, data.estimator).to_dict("records")
    live = int((~np.isnan(scores.score)).sum())
    shown_studies = studies.shown_studies(data)
    return environment.get_template("report.html.j2").render(
        data=data,
        naming=naming,
        scores=scores,
        scored=views.scored(data),
        estimator=data.estimator,
        other_rule=views.other_rule(scores),
        figures={**dict.fromkeys(_OPTIONAL), **drawn},
        headline=statements.headline(data),
        key_numbers=key_numbers(data),
        statements={
            "gap": statements.gap_statements(data),
            "retrieval": statements.retrieval_statements(data),
            "spread": statements.spread_statements(data),
            "counts": statements.count_statements(data, naming),
            "estimators": statements.estimator_statements(data),
            "learned": learned.learned_statements(data),
            "meaning": meaning.meaning_statements(data),
            "verdicts": meaning.verdict_statements(data),
        },
        strips=[views.strip(each, naming) for each in figures.score_sets(data.encoders, data.estimator)],
        distribution_caption=views.describe_distribution(scores, naming),
        scatter_note=(
            f" Of {count(live)} features, {count(figures.MAX_POINTS)} evenly spaced ones are drawn."
            if live > figures.MAX_POINTS
            else ""
        ),
        learned_scores=list(learned.score_rows(data)) if learned.names(data) else [],
        learned_quality=learned.shown_quality(data),
        learned_retrieval=learned.shown_retrieval(data),
        interpreted=meaning.names(data),
        overview=meaning.overview_rows(data),
        average_rows=meaning.average_rows,
        fidelity_rows=meaning.fidelity_rows,
        verdict_rows=meaning.verdict_rows(data),
        verdicts=meaning.VERDICTS,
        mono_metrics=meaning.METRICS,
        published=PUBLISHED,
        role_of={naming.label(role): role for role in ROLES},
        naming_short=naming.short,
        studies=shown_studies,
        retrieval=views.recalls(data),
        ranks=sorted(data.main.retrieval.chance) if data.main.retrieval else [],
        chance=data.main.retrieval.chance if data.main.retrieval else {},
        estimator_rows=estimator_rows,
        class_counts=scores.counts(),
        feature_rows=views.feature_rows(scores, naming),
        provenance={
            "plain": {name: value for name, value in provenance.items() if not isinstance(value, Mapping)},
            "nested": nested,
        },
        most_skipped=MAX_SKIPPED_ROWS,
        sections=_sections(data, shown_studies),
        metrics=METRICS,
        roles=ROLES,
        rules=RULES,
        null_name=NULL_NAME,
        unknown=(np.nan, np.nan),
        unknown3=(np.nan, np.nan, np.nan),
        version=__version__,
        light=Markup(css_variables(0)),
        dark=Markup(css_variables(1)),
        gallery=gallery,
        script=Markup(script),
        gallery_script=Markup(gallery.script if gallery else ""),
        gallery_style=Markup(gallery.style if gallery else ""),
        script_hashes=[_hash(each) for each in (script, *([gallery.script] if gallery else []))],
    )


def _hash(script: str) -> Markup:
    """What the page's content security policy knows a script by."""
    return Markup("sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())


def _sections(data: ReportData, shown_studies: Sequence[studies.ShownStudy]) -> dict[str, str]:
    """Headings of the page by anchor; studies stand before the table of features."""
    empty = {
        "learned": not learned.names(data),
        "gallery": not data.galleries,
        "meaning": not meaning.names(data),
    }
    found: dict[str, str] = {}
    for name, heading in SECTIONS.items():
        if name == "features":
            found |= {study.anchor: study.title for study in shown_studies}
        if not empty.get(name):
            found[name] = heading
    return found


def _environment(naming: Naming) -> Environment:
    environment = Environment(
        loader=PackageLoader("modalens.report"),
        autoescape=True,  # titles, captions, names and ids are other people's words
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "capitalised": capitalised,
        "count": count,
        "data_uri": views.data_uri,
        "interval": interval,
        "naming_short": naming.short,
        "number": number,
        "percent": percent,
    }
    return environment
