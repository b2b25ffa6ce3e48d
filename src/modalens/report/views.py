"""What the template shows, shaped and worded: strips, rows, descriptions, pictures."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from modalens.dominance import RULES, Dominance
from modalens.dominance.classes import class_codes
from modalens.errors import ModalensError
from modalens.report.data import ReportData, Sample
from modalens.report.figures import ScoreSet
from modalens.report.naming import ROLES, Naming, count, interval, number, percent

MAX_FEATURE_ROWS = 4096
_IMAGE_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


def scored(data: ReportData) -> dict[str, Dominance]:
    """Scores by encoder name, of the encoders that have any under the report's estimator."""
    found = {encoder.name: encoder.scores(data.estimator) for encoder in data.encoders}
    return {name: scores for name, scores in found.items() if scores is not None}


def describe_distribution(scores: Dominance, naming: Naming) -> str:
    """The histogram of the scores, in words."""
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


def strip(shown: ScoreSet, naming: Naming) -> dict[str, Any]:
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


def recalls(data: ReportData) -> dict[str, list[tuple[str, Mapping[int, tuple[float, float, float]]]]]:
    """Recalls by direction and encoder, the main encoder first; empty where it has none."""
    if data.main.retrieval is None:
        return {}
    first, second = data.modalities
    measured = [(each.name, each.retrieval) for each in data.encoders if each.retrieval is not None]
    return {
        f"{first} to {second}": [(name, found.image_to_text) for name, found in measured],
        f"{second} to {first}": [(name, found.text_to_image) for name, found in measured],
    }


def other_rule(scores: Dominance) -> str:
    """The class rule the scores are not under."""
    return next(rule for rule in RULES if rule != scores.rule)


def feature_rows(scores: Dominance, naming: Naming) -> list[dict[str, str]]:
    """Rows of the feature table, highest score first, dead features last; the outermost where there are many."""
    names = [naming.short(role) for role in ROLES]
    codes = class_codes(scores.score, scores.rule)
    other = class_codes(scores.score, other_rule(scores))
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


def data_uri(sample: Sample) -> str:
    """The thumbnail, written into the page.

    Raises
    ------
    ModalensError
        If it is no PNG, JPEG, WebP or GIF file.
    """
    for magic, kind in _IMAGE_TYPES.items():
        if sample.thumbnail.startswith(magic):
            return f"data:{kind};base64,{base64.b64encode(sample.thumbnail).decode()}"
    raise ModalensError(
        f"The thumbnail of sample {sample.id!r} is no PNG, JPEG, WebP or GIF file; encode it as one of them."
    )
