"""Estimators side by side as a table, and how far two of them agree."""

import numpy as np
import pandas as pd
from scipy import stats

from modalens.dominance import RULES, Dominance
from modalens.report.data import EncoderResult


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
