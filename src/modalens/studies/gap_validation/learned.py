"""Autoencoders trained on embeddings whose gap is closed so far: one-sided features, and halves of split concepts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modalens.dominance import modality_dominance
from modalens.features.base import FeatureModel
from modalens.features.registry import kind_named
from modalens.features.settings import TrainConfig
from modalens.features.trainer import train
from modalens.interpret.bridges import LEAST_SHUFFLES, bridges
from modalens.studies.gap_validation.config import KnownGapConfig
from modalens.studies.gap_validation.moves import MOVES

MOVE, LEVELS = "shift", (0.0, 0.5, 0.75, 1.0)
# What is trained: an autoencoder, and the same with decoder rows that stay random directions.
TRAINED, BASELINE = "topk", "frozen_decoder"
_BATCH = 512


def learned_table(
    image: Float[np.ndarray, "n d"],
    text: Float[np.ndarray, "n d"],
    modalities: tuple[str, str],
    config: KnownGapConfig,
) -> pd.DataFrame:
    """Train a TopK autoencoder and its dictionary baseline at four levels of the published shift, and class features.

    Returns
    -------
    DataFrame
        ``features`` (``topk`` or ``frozen_decoder``), ``closed``, ``live`` features, ``one_sided`` (share of these by
        ``mean_ratio`` and ``twofold``), ``spread`` of R, and ``split`` and ``private``: shares of the one-sided ones.
    """
    built = [
        kind_named(kind).config_class(
            d=image.shape[1], n_features=config.n_features, k=config.k, kind=kind, seed=config.seed
        )
        for kind in (TRAINED, BASELINE)
    ]
    how = TrainConfig(
        steps=config.steps,
        batch_size=min(_BATCH, len(image)),
        log_every=config.steps,
        seed=config.seed,
        device="cpu",
    )
    rows = []
    for closed in LEVELS:
        sides = [side.astype(np.float32) for side in MOVES[MOVE][1](image, text, closed, config.seed)]
        for config_of, trained in zip(built, train(built, (sides[0], sides[1]), how), strict=True):
            of = {"features": config_of.kind, "move": MOVE, "closed": closed}
            rows.append(of | _classed(trained.model, sides, modalities, config.seed))
    return pd.DataFrame(rows)


def _classed(
    model: FeatureModel, sides: Sequence[np.ndarray], modalities: tuple[str, str], seed: int
) -> dict[str, Any]:
    codes = [model.encode(side, name) for side, name in zip(sides, ("image", "text"), strict=True)]
    mds = modality_dominance(codes[0], codes[1], rule="twofold", resamples=0, modalities=modalities)
    decoder = model.W_dec.cpu().numpy().astype(np.float64)
    links = bridges(codes[0], codes[1], decoder, mds, seed, shuffles=LEAST_SHUFFLES)
    live = ~np.isnan(mds.score)
    sided = np.isin(mds.labels, modalities)
    return {
        "live": int(live.sum()),
        "spread": float(np.nanstd(mds.score)),
        "one_sided": float(sided.sum() / max(live.sum(), 1)),
        "split": float((links.verdict[sided] == "split").mean()) if sided.any() else np.nan,
        "private": float((links.verdict[sided] == "private").mean()) if sided.any() else np.nan,
    }
