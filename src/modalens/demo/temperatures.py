"""Demo encoders trained at several temperatures and for several lengths: does what the gap is read from follow?

Contrastive training at a higher temperature, or longer with one that is learnt, is known to close the gap (Liang et al.
2022): here the gap is moved by training, where :func:`modalens.studies.known_gap` moves it by hand.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from modalens.demo import frozen
from modalens.demo.encoder_training import FrozenFeatures, frozen_features, trained_heads
from modalens.demo.splits import split_of
from modalens.demo.twins import RECIPES, HeadsRecipe
from modalens.hashing import sha256_of
from modalens.pairs import Pair, load_pairs
from modalens.statistics.groups import group_keys
from modalens.studies.gap_validation.following import Level, following_table, measured_levels
from modalens.studies.gap_validation.study import statements

TEMPERATURES = (0.01, 0.03, 0.1, 0.3)
EPOCHS = (2, 5, 10, 20, 40)
TEMPERATURE, LENGTH = "temperature", "training"


def known_temperatures(
    temperatures: Sequence[float] = TEMPERATURES,
    epochs: Sequence[int] = EPOCHS,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Train the demo's heads anew and measure them on concepts that they never saw.

    Parameters
    ----------
    temperatures
        Fixed temperatures, each for the demo's 40 passes.
    epochs
        Passes with the learnt temperature, which starts at .07.
    resamples, seed
        Resamples of the held-out concepts, and the seed of these and of training.

    Returns
    -------
    following, levels, statements
        As in :func:`modalens.studies.known_gap`; moves are ``temperature`` and ``training``, and levels the temperature
        and the passes.

    Raises
    ------
    ModalensError
        If a package of the ``demo`` extra is missing, or the cache cannot be written.
    """
    source = load_pairs("openmoji")
    pairs = list(source)
    weights = {
        "efficientnet-lite0": sha256_of(frozen.image_weights()),
        "all-MiniLM-L6-v2": sha256_of(frozen.text_model_folder() / "model.safetensors"),
    }
    features = frozen_features(pairs, {"source": source.card(), "weights": weights})
    demo, learnt = RECIPES["demo"], RECIPES["demo:learnt-temperature"]
    recipes = [
        *((TEMPERATURE, each, replace(demo, logit_scale=1 / each, seed=seed)) for each in temperatures),
        *((LENGTH, float(each), replace(learnt, epochs=each, seed=seed)) for each in epochs),
    ]
    return measure_recipes(features, pairs, recipes, resamples=resamples, seed=seed)


def measure_recipes(
    features: FrozenFeatures,
    pairs: Sequence[Pair],
    recipes: Sequence[tuple[str, float, HeadsRecipe]],
    *,
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Train heads by each recipe on the training concepts, and measure all of them on the others."""
    training = [pair for pair in pairs if split_of(pair.label["concept"]) == "train"]
    held_out = [pair for pair in pairs if split_of(pair.label["concept"]) != "train"]
    image = features.image[[features.image_row[pair.ref.key] for pair in held_out]]
    text = features.text[[features.text_row[pair.text] for pair in held_out]]
    levels = []
    for move, level, recipe in recipes:
        heads = trained_heads(features, training, recipe)
        levels.append(Level(move, level, heads.embed_image(image).numpy(), heads.embed_text(text).numpy()))
    keys = group_keys([pair.label["concept"] for pair in held_out], len(held_out))
    groups = np.unique(keys, return_inverse=True)[1]
    table, draws = measured_levels(levels, groups, resamples, seed)
    following = following_table(draws, None)
    return following, table, statements(following)
