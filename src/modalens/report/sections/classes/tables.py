"""Class counts of every encoder as a table."""

import numpy as np
import pandas as pd

from modalens.dominance import RULES
from modalens.report.data import ReportData


def class_table(data: ReportData) -> pd.DataFrame:
    """Class counts of every encoder under every rule, with 95 % intervals and label-swap means."""
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
