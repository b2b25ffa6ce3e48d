"""The tables: tidy frames that are written as files and shown in the page."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from modalens.dominance import RULES, Dominance
from modalens.report.data import EncoderResult, ReportData
from modalens.report.learned import learned_tables
from modalens.report.meaning import meaning_tables
from modalens.report.naming import METRICS, NULL_NAME
from modalens.report.studies import study_tables
from modalens.store.atomic import whole_file, write_text


def tables(data: ReportData) -> dict[str, pd.DataFrame]:
    """Every table of a report by file name."""
    return {
        "features": feature_table(data.main, data.estimator),
        "baseline_scores": baseline_scores(data),
        "classes": class_table(data),
        "gap": gap_table(data),
        "retrieval": retrieval_table(data),
        "estimators": estimator_table(data.main, data.estimator),
        **learned_tables(data),
        **meaning_tables(data),
        **study_tables(data),
        "skipped": pd.DataFrame(list(data.skipped), columns=["id", "reason"], dtype=str),
    }


def write_tables(data: ReportData, folder: Path) -> None:
    """Write every table that has rows as CSV and as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables(data).items():
        if len(frame):
            write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
            with whole_file(folder / f"{name}.parquet") as partial:
                frame.to_parquet(partial, index=False)


def feature_table(encoder: EncoderResult, estimator: str) -> pd.DataFrame:
    """One row per feature: score, interval, pairs, class and its probability by rule, other estimators' scores."""
    scores = encoder.scores(estimator)
    if scores is None:
        return pd.DataFrame()
    columns = {
        "feature": np.arange(len(scores.score)),
        "score": scores.score,
        "low": scores.low,
        "high": scores.high,
        "pairs": scores.pairs,
    }
    for rule in RULES:
        ruled = scores.with_rule(rule)
        columns |= {f"class_{rule}": ruled.labels, f"probability_{rule}": ruled.probability}
    for name in encoder.estimators:
        other = encoder.scores(name)
        if name != estimator and other is not None:
            columns[f"score_{name}"] = other.score
    return pd.DataFrame(columns)


def baseline_scores(data: ReportData) -> pd.DataFrame:
    """Scores of the baselines and of one label-swap draw, one row per encoder and feature."""
    sets = [(encoder.name, encoder.scores(data.estimator)) for encoder in data.baselines]
    named = [(name, found.score) for name, found in sets if found is not None]
    if data.scores.null is not None:
        named.append((NULL_NAME, data.scores.null.scores))
    frames = [
        pd.DataFrame({"encoder": name, "feature": np.arange(len(score)), "score": score})
        for name, score in named
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def class_table(data: ReportData) -> pd.DataFrame:
    """Class counts of every encoder under both rules, with 95 % intervals and label-swap means."""
    rows = []
    for encoder in data.encoders:
        scores = encoder.scores(data.estimator)
        if scores is None:
            continue
        for rule in RULES:
            intervals = scores.count_intervals(rule)
            for label, count in scores.counts(rule).items():
                null = np.nan if scores.null is None else scores.null.class_counts[rule][label]
                rows.append((encoder.name, rule, label, count, *intervals[label], null))
    return pd.DataFrame(rows, columns=["encoder", "rule", "class", "count", "low", "high", "labels_swapped"])


def gap_table(data: ReportData) -> pd.DataFrame:
    """Gap measures of every encoder with 95 % intervals and label-swap null."""
    nothing = (np.nan, np.nan, np.nan)
    rows = [
        (
            encoder.name,
            metric,
            getattr(encoder.gap, metric),
            *encoder.gap.intervals.get(metric, nothing[:2]),
            *encoder.gap.null.get(metric, nothing),
        )
        for encoder in data.encoders
        for metric in METRICS
    ]
    null = [f"labels_swapped_{part}" for part in ("mean", "low", "high")]
    return pd.DataFrame(rows, columns=["encoder", "metric", "value", "low", "high", *null])


def retrieval_table(data: ReportData) -> pd.DataFrame:
    """Recall of every encoder in both directions, with 95 % intervals and chance."""
    first, second = data.modalities
    rows = []
    for encoder in data.encoders:
        if (found := encoder.retrieval) is None:
            continue
        directions = (
            (f"{first} to {second}", found.image_to_text),
            (f"{second} to {first}", found.text_to_image),
        )
        for direction, recalls in directions:
            rows += [(encoder.name, direction, k, *recall, found.chance[k]) for k, recall in recalls.items()]
    return pd.DataFrame(rows, columns=["encoder", "direction", "k", "recall", "low", "high", "chance"])


def estimator_table(encoder: EncoderResult, reference: str) -> pd.DataFrame:
    """Every estimator with scores: mean, spread, class counts by rule, agreement with the reference's."""
    base = encoder.scores(reference)
    rows = []
    for name in encoder.estimators:
        scores = encoder.scores(name)
        if base is None or scores is None:
            continue
        row = {"estimator": name, "mean": scores.mean, "std": scores.std}
        row["rank_correlation"] = rank_correlation(base, scores)
        for rule in RULES:
            row[f"agreement_{rule}"] = agreement(base, scores, rule)
            row |= {f"{label}_{rule}": found for label, found in scores.counts(rule).items()}
        rows.append(row)
    return pd.DataFrame(rows)


def rank_correlation(a: Dominance, b: Dominance) -> float:
    """Spearman's rank correlation of two sets of scores over features live in both, in [-1, 1].

    NaN where fewer than two features are live or one set is constant.
    """
    live = ~np.isnan(a.score) & ~np.isnan(b.score)
    x, y = a.score[live], b.score[live]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def agreement(a: Dominance, b: Dominance, rule: str) -> float:
    """Share of features, in [0, 1], to which both give the same class under a rule."""
    return float((a.with_rule(rule).labels == b.with_rule(rule).labels).mean())
