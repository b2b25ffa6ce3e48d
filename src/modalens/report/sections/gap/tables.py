"""Gap measures and recall of every encoder, as tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from modalens.report.data import ReportData
from modalens.report.naming import METRICS


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
