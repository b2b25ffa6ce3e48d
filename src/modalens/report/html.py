"""The report as one self-contained HTML page, with its figures and tables as files beside it."""

import base64
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import modalens
from modalens.dominance import RULES, Dominance
from modalens.dominance.classes import class_codes, moments
from modalens.errors import ModalensError
from modalens.report import figures, statements, tables
from modalens.report.data import ReportData, Sample
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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

MAX_FEATURE_ROWS = 4096
MAX_SKIPPED_ROWS = 100
SECTIONS = {
    "setup": "What is measured, and beside what",
    "gap": "The gap between the modalities",
    "scores": "How the scores spread",
    "classes": "How many features are one-sided",
    "estimators": "Three estimators, two rules",
    "features": "Every feature",
    "made": "How this was made",
    "glossary": "Terms and formulas",
}
_IMAGE_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
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
        page.write_text(_render(data, drawn), encoding="utf-8", newline="\n")
    except OSError as error:
        raise ModalensError(f"The report cannot be written to {out}: {error.strerror or error}.") from error
    logger.info("report written to %s (%.1f MB)", page, page.stat().st_size / 1e6)
    return page


def _draw(data: ReportData, folder: Path) -> dict[str, Drawn]:
    naming = Naming(*data.modalities)
    scored = _scored(data)
    sets = figures.score_sets(data.encoders, data.estimator)
    plans: dict[str, tuple[Callable[[bool], Figure], str]] = {
        "mds_distribution": (
            lambda narrow: figures.distribution(data.scores, naming, narrow=narrow),
            _distribution_alt(data.scores, naming),
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
    scores = data.scores
    provenance = dict(data.provenance)
    nested = {name: value for name, value in provenance.items() if isinstance(value, Mapping) and value}
    estimator_rows = tables.estimator_table(data.main, data.estimator).to_dict("records")
    live = int((~np.isnan(scores.score)).sum())
    return environment.get_template("report.html.j2").render(
        data=data,
        naming=naming,
        scores=scores,
        scored=_scored(data),
        estimator=data.estimator,
        other_rule=_other_rule(scores),
        figures={**dict.fromkeys(("mds_baselines", "estimators")), **drawn},
        headline=statements.headline(data),
        key_numbers=statements.key_numbers(data),
        statements={
            "gap": statements.gap_statements(data),
            "retrieval": statements.retrieval_statements(data),
            "spread": statements.spread_statements(data),
            "counts": statements.count_statements(data, naming),
            "estimators": statements.estimator_statements(data),
        },
        strips=[_strip(each, naming) for each in figures.score_sets(data.encoders, data.estimator)],
        distribution_caption=_distribution_alt(scores, naming),
        scatter_note=(
            f" Of {count(live)} features, {count(figures.MAX_POINTS)} evenly spaced ones are drawn."
            if live > figures.MAX_POINTS
            else ""
        ),
        retrieval=_retrieval(data),
        ranks=sorted(data.main.retrieval.chance) if data.main.retrieval else [],
        chance=data.main.retrieval.chance if data.main.retrieval else {},
        estimator_rows=estimator_rows,
        class_counts=scores.counts(),
        feature_rows=_feature_rows(scores, naming),
        provenance={
            "plain": {name: value for name, value in provenance.items() if not isinstance(value, Mapping)},
            "nested": nested,
        },
        most_skipped=MAX_SKIPPED_ROWS,
        sections=SECTIONS,
        metrics=METRICS,
        roles=ROLES,
        rules=RULES,
        null_name=NULL_NAME,
        unknown=(np.nan, np.nan),
        unknown3=(np.nan, np.nan, np.nan),
        version=modalens.__version__,
        light=Markup(css_variables(0)),
        dark=Markup(css_variables(1)),
        script=Markup(script),
        script_hash=Markup("sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),
    )


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
        "data_uri": _data_uri,
        "interval": interval,
        "naming_short": naming.short,
        "number": number,
        "percent": percent,
    }
    return environment


def _scored(data: ReportData) -> dict[str, Dominance]:
    """Scores by encoder name, of the encoders that have any under the report's estimator."""
    found = {encoder.name: encoder.scores(data.estimator) for encoder in data.encoders}
    return {name: scores for name, scores in found.items() if scores is not None}


def _distribution_alt(scores: Dominance, naming: Naming) -> str:
    live = scores.score[~np.isnan(scores.score)]
    if not len(live):
        return "No feature has a score: all are dead."
    counts = scores.counts()
    classes = ", ".join(f"{count(counts[naming.label(role)])} {naming.short(role)}" for role in ROLES)
    return (
        f"Histogram of R over {count(len(live))} features: from {number(float(live.min()))} to "
        f"{number(float(live.max()))}, mean {number(scores.mean)}, standard deviation {number(scores.std)}; {classes}. "
        f"The solid line is the mean, the dashed ones are the class bounds of {scores.rule}."
    )


def _strip(shown: figures.ScoreSet, naming: Naming) -> dict[str, Any]:
    """A line per distinct score, in thousandths, by class; the rare classes are drawn last, on top."""
    codes = shown.codes
    paths = {}
    for code in (1, 0, 2):
        places = np.unique(np.round(1000 * shown.score[codes == code]).astype(int))
        if len(places):
            paths[ROLES[code]] = "".join(f"M{place} 0v10" for place in places)
    counts = np.bincount(codes, minlength=4)
    classes = ", ".join(f"{count(int(counts[code]))} {naming.short(ROLES[code])}" for code in range(3))
    return {"name": shown.name, "paths": paths, "alt": f"Scores of {shown.name}: {classes}"}


def _retrieval(data: ReportData) -> dict[str, list[tuple[str, Mapping[int, tuple[float, float, float]]]]]:
    """Recalls by direction and encoder, the main encoder first; empty where it has none."""
    if data.main.retrieval is None:
        return {}
    first, second = data.modalities
    measured = [(each.name, each.retrieval) for each in data.encoders if each.retrieval is not None]
    return {
        f"{first} to {second}": [(name, found.image_to_text) for name, found in measured],
        f"{second} to {first}": [(name, found.text_to_image) for name, found in measured],
    }


def _other_rule(scores: Dominance) -> str:
    return next(rule for rule in RULES if rule != scores.rule)


def _feature_rows(scores: Dominance, naming: Naming) -> list[dict[str, str]]:
    """Rows of the feature table, highest score first, dead features last; the outermost where there are many."""
    names = [naming.short(role) for role in ROLES]
    codes = class_codes(scores.score, scores.rule)
    other = class_codes(scores.score, _other_rule(scores))
    # Dead features have no score; NaN sorts last.
    outermost = np.argsort(-np.abs(scores.score - scores.mean), kind="stable")[:MAX_FEATURE_ROWS]
    order = outermost[np.lexsort((outermost, -scores.score[outermost]))]
    rows = []
    for feature in order.tolist():
        score, low, high = (float(each[feature]) for each in (scores.score, scores.low, scores.high))
        known = np.isfinite(low)
        start, width = (low, high - low) if known else (score, 0.0)
        alive = np.isfinite(score)
        rows.append(
            {
                "feature": str(feature),
                "role": ROLES[codes[feature]],
                "name": names[codes[feature]],
                "score": number(score, 4),
                "bar": f"--l:{100 * start:.1f};--w:{100 * width:.1f};--s:{100 * score:.1f}" if alive else "",
                "interval": interval(low, high),
                "width": f"{width:.5f}" if known else "",
                "certainty": percent(float(scores.probability[feature])) if alive else number(None),
                "other": names[other[feature]],
                "pairs": count(int(scores.pairs[feature])),
            }
        )
    return rows


def _data_uri(sample: Sample) -> str:
    for magic, kind in _IMAGE_TYPES.items():
        if sample.thumbnail.startswith(magic):
            return f"data:{kind};base64,{base64.b64encode(sample.thumbnail).decode()}"
    raise ModalensError(
        f"The thumbnail of sample {sample.id!r} is no PNG, JPEG, WebP or GIF file; encode it as one of them."
    )
