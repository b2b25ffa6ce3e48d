"""Scores of the baselines as a table."""

import numpy as np
import pandas as pd

from modalens.report.data import ReportData
from modalens.report.naming import NULL_NAME


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
