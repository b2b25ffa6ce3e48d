"""One row for every feature: as a table file, and as the page shows them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from modalens.dominance import RULES, Dominance
from modalens.dominance.rules import class_codes
from modalens.report.data import EncoderResult
from modalens.report.naming import ROLES, Naming, count, interval, number, percent

MAX_FEATURE_ROWS = 4096


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


def other_rules(scores: Dominance) -> list[str]:
    """The class rules that the scores are not under."""
    return [rule for rule in RULES if rule != scores.rule]


def feature_rows(
    scores: Dominance, naming: Naming, named: Mapping[int, str] | None = None
) -> list[dict[str, Any]]:
    """Rows of the feature table, highest score first, dead features last; the outermost where there are many."""
    names = [naming.short(role) for role in ROLES]
    codes = class_codes(scores.score, scores.rule)
    others = [class_codes(scores.score, rule) for rule in other_rules(scores)]
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
                "called": (named or {}).get(feature, ""),
                "score": number(score, 4),
                "bar": f"--l:{100 * start:.1f};--w:{100 * width:.1f};--s:{100 * score:.1f}" if alive else "",
                "interval": interval(low, high),
                "width": f"{width:.5f}" if known else "",
                "certainty": percent(float(scores.probability[feature])) if alive else number(None),
                "others": [names[other[feature]] for other in others],
                "pairs": count(int(scores.pairs[feature])),
            }
        )
    return rows
