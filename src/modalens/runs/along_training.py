"""How monosemantic learned features were at every checkpoint of their training."""

import numpy as np
import pandas as pd

from modalens.features.trainer import models_along_training
from modalens.interpret import average_of_features, monosemanticity
from modalens.runs.interpretation import ALONG_COLUMNS, InterpretConfig, SampleSets
from modalens.runs.representations import Representation

_METRICS = ("embsim", "winrate", "mono")


def mono_along_training(each: Representation, samples: SampleSets, config: InterpretConfig) -> pd.DataFrame:
    """Mean EmbSim, WinRate and Mono of learned features at each checkpoint, with one random baseline a feature.

    As Figure 13 of *Multi-Faceted Monosemanticity* (Yan et al. 2025). See
    :class:`modalens.runs.interpretation.Interpretation` for the columns.
    """
    rows, groups = [], each.groups()
    for step, model in [] if each.embeddings is None else models_along_training(each.folder):
        for side in ("image", "text"):
            distinct = samples.distinct[side]
            found = monosemanticity(
                model.encode(getattr(each.embeddings, side).pick(each.rows[distinct]), side),
                samples.embeddings[side],
                config.m,
                config.seed,
                draws=1,
                by=config.by,
                groups=np.arange(len(distinct)) if groups is None else groups[distinct],
            )
            for metric in _METRICS:
                average = average_of_features(found, metric, found.scored)
                chance = float(found.chance[metric][found.scored].mean()) if average.features else np.nan
                ours = (average.features, average.mean, average.low, average.high, chance)
                rows.append((step, side, metric, *ours))
    return pd.DataFrame(rows, columns=list(ALONG_COLUMNS))
