"""Autoencoders trained on embeddings whose gap is closed so far: one-sided features, and halves of split concepts."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from modalens.dominance import modality_dominance
from modalens.features.registry import kind_named
from modalens.features.settings import TrainConfig
from modalens.features.trainer import train
from modalens.interpret.bridges import LEAST_SHUFFLES, bridges
from modalens.studies.gap_validation.config import KnownGapConfig
from modalens.studies.gap_validation.moves import MOVES

MOVE, LEVELS = "shift", (0.0, 0.5, 0.75, 1.0)
_BATCH = 512


def learned_table(
    image: Float[np.ndarray, "n d"],
    text: Float[np.ndarray, "n d"],
    modalities: tuple[str, str],
    config: KnownGapConfig,
) -> pd.DataFrame:
    """Train a TopK autoencoder at each of four levels of the published shift, and class its features.

    Returns
    -------
    DataFrame
        ``closed``, ``live`` features, ``one_sided`` (share of these by ``mean_ratio`` and ``twofold``), ``spread``
        of R, and ``split`` and ``private``: shares of the one-sided features.
    """
    built = kind_named("topk").config_class(
        d=image.shape[1], n_features=config.n_features, k=config.k, seed=config.seed
    )
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
        model = train([built], (sides[0], sides[1]), how)[0].model
        codes = [model.encode(side, name) for side, name in zip(sides, ("image", "text"), strict=True)]
        mds = modality_dominance(codes[0], codes[1], rule="twofold", resamples=0, modalities=modalities)
        decoder = model.W_dec.cpu().numpy().astype(np.float64)
        links = bridges(codes[0], codes[1], decoder, mds, config.seed, shuffles=LEAST_SHUFFLES)
        live = ~np.isnan(mds.score)
        sided = np.isin(mds.labels, modalities)
        rows.append(
            {
                "move": MOVE,
                "closed": closed,
                "live": int(live.sum()),
                "spread": float(np.nanstd(mds.score)),
                "one_sided": float(sided.sum() / max(live.sum(), 1)),
                "split": float((links.verdict[sided] == "split").mean()) if sided.any() else np.nan,
                "private": float((links.verdict[sided] == "private").mean()) if sided.any() else np.nan,
            }
        )
    return pd.DataFrame(rows)
