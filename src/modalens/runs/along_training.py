"""How monosemantic learned features were at every checkpoint of their training."""

import numpy as np
import pandas as pd

from modalens.features.trainer import models_along_training
from modalens.interpret import monosemanticity
from modalens.runs.interpretation import InterpretConfig, SampleSets
from modalens.runs.representations import Representation

_RESAMPLES = 500
_COLUMNS = ("step", "modality", "features", "mono", "low", "high", "chance")


def mono_along_training(each: Representation, samples: SampleSets, config: InterpretConfig) -> pd.DataFrame:
    """Mean Mono of learned features at each checkpoint, with one random baseline a feature.

    As Figure 13 of *Multi-Faceted Monosemanticity* (Yan et al. 2025). See
    :class:`modalens.runs.interpretation.Interpretation` for the columns.
    """
    rows = []
    for step, model in [] if each.embeddings is None else models_along_training(each.folder):
        for side in ("image", "text"):
            chosen = each.rows[samples.distinct[side]]
            codes = model.encode(getattr(each.embeddings, side).pick(chosen), side)
            found = monosemanticity(codes, samples.embeddings[side], config.m, config.seed, draws=1)
            mono, chance = found.mono[found.scored], found.chance["mono"][found.scored]
            mean, low, high, by_chance = (np.nan,) * 4
            if len(mono):
                draws = np.random.default_rng(config.seed).integers(len(mono), size=(_RESAMPLES, len(mono)))
                low, high = np.quantile(mono[draws].mean(axis=1), (0.025, 0.975))
                mean, by_chance = mono.mean(), chance.mean()
            rows.append((step, side, len(mono), mean, low, high, by_chance))
    return pd.DataFrame(rows, columns=_COLUMNS)
