"""What learned features show beside the embeddings they were learned on, as tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modalens.dominance import Dominance
from modalens.report.data import EncoderResult, LearnedResult, ReportData
from modalens.report.tails import outer_share

if TYPE_CHECKING:
    from modalens.dominance.retrieval import Retrieval
    from modalens.features.quality import Quality

RAW = "Raw"


def names(data: ReportData) -> list[str]:
    """Names of the learned features, in the main encoder's order."""
    return [each.name for each in data.main.learned]


def all_names(data: ReportData) -> list[str]:
    """The same with their baselines."""
    return [each.name for each in data.main.all_learned]


def find(encoder: EncoderResult, name: str) -> LearnedResult | None:
    """An encoder's learned features of a name, or a baseline of them."""
    return next((each for each in encoder.all_learned if each.name == name), None)


def scores_of(encoder: EncoderResult, name: str, estimator: str) -> Dominance | None:
    """Scores of an encoder's own features (``RAW``) or of those learned on it."""
    if name == RAW:
        return encoder.scores(estimator)
    found = find(encoder, name)
    return None if found is None else found.scores(estimator)


def score_rows(data: ReportData) -> Iterator[dict[str, Any]]:
    """One row for each representation and encoder: live and dead features, spread, tails, class counts."""
    first, second = data.modalities
    for name in [RAW, *all_names(data)]:
        for encoder in data.encoders:
            if (scores := scores_of(encoder, name, data.estimator)) is None:
                continue
            share, low, high = outer_share(scores)
            counts = scores.counts("twofold")
            yield {
                "features": name,
                "encoder": encoder.name,
                "live": int((~np.isnan(scores.score)).sum()),
                "dead": counts["dead"],
                "mean": scores.mean,
                "std": scores.std,
                "outer_share": share,
                "outer_low": low,
                "outer_high": high,
                first: counts[first],
                "cross": counts["cross"],
                second: counts[second],
            }


def quality_rows(data: ReportData) -> Iterator[dict[str, Any]]:
    """One row for each learned features, encoder and split: what the features keep of the embeddings."""
    for name in all_names(data):
        for encoder in data.encoders:
            if (found := find(encoder, name)) is None:
                continue
            for split, quality in found.quality.items():
                row: dict[str, Any] = {"features": name, "encoder": encoder.name, "split": split}
                row["pairs"] = quality.pairs
                for side in quality.variance:
                    value, low, high = quality.fvu.get(side, (np.nan, np.nan, np.nan))
                    row |= {f"fvu_{side}": value, f"fvu_{side}_low": low, f"fvu_{side}_high": high}
                    row[f"variance_{side}"] = quality.variance[side]
                    row[f"active_{side}"] = quality.active[side]
                    row[f"per_sample_{side}"] = quality.per_sample[side]
                yield row | _recalls("before", quality.before) | _recalls("after", quality.after)


def training_rows(data: ReportData) -> Iterator[dict[str, Any]]:
    """One row for each evaluation in training, of every encoder's learned features and their baselines."""
    for encoder in data.encoders:
        for learned in encoder.all_learned:
            for entry in learned.log:
                for split in ("train", "held_out"):
                    if split in entry:
                        kept = {name: v for name, v in entry[split].items() if np.isscalar(v)}
                        about = {"features": learned.name, "encoder": encoder.name, "split": split}
                        yield {**about, "step": entry["step"], **kept}


def learned_tables(data: ReportData) -> dict[str, pd.DataFrame]:
    """The tables of learned features, by file name; none where there are no such features."""
    if not names(data):
        return {}
    return {
        "learned_scores": pd.DataFrame(list(score_rows(data))),
        "learned_quality": pd.DataFrame(list(quality_rows(data))),
        "learned_training": pd.DataFrame(list(training_rows(data))),
    }


def shown_quality(data: ReportData) -> list[dict[str, Any]]:
    """The page's rows on reconstruction."""
    rows = []
    for name in all_names(data):
        for encoder in data.encoders:
            found = find(encoder, name)
            if found is None or not found.quality or not last_quality(found).fvu:
                continue
            rows.append({"features": name, "encoder": encoder.name, "splits": dict(found.quality)})
    return rows


def shown_retrieval(data: ReportData) -> list[dict[str, Any]]:
    """The page's rows on retrieval: for each encoder before, then after each kind of features."""
    rows = []
    for encoder in data.encoders:
        for place, learned in enumerate(each for each in encoder.all_learned if each.quality):
            quality = last_quality(learned)
            if place == 0:
                rows.append({"encoder": encoder.name, "features": RAW, "found": quality.before})
            rows.append({"encoder": encoder.name, "features": learned.name, "found": quality.after})
    return rows


def last_quality(learned: LearnedResult) -> "Quality":
    """Quality on the split that is scored."""
    return list(learned.quality.values())[-1]


def _recalls(when: str, found: "Retrieval") -> dict[str, float]:
    row: dict[str, float] = {}
    for way in ("image_to_text", "text_to_image"):
        for k, (value, low, high) in getattr(found, way).items():
            row |= {f"{way}_r{k}_{when}": value, f"{way}_r{k}_{when}_low": low}
            row[f"{way}_r{k}_{when}_high"] = high
    return row
