"""Features of which it is known what they say of labels."""

from dataclasses import dataclass

import numpy as np

from modalens import modality_dominance
from modalens.dominance import Dominance

N, F, D = 1200, 60, 64


@dataclass(frozen=True, eq=False)
class Planted:
    """Codes, embeddings and decoder rows of 1,200 pairs of animals, vehicles, food and kinds too rare to be probed.

    On images feature 0 fires for animals but for one in twenty of them, for which feature 1, half of whose direction
    is that of 0, takes its place (absorbed); 2 fires for half of the vehicles and 3 for the others (split); 4 fires for
    food. On texts 0 fires for animals (aligned), 7 for food and for vehicles, and 8 for vehicles, so that food is what
    has 7 without 8 (entangled).
    """

    image: np.ndarray
    text: np.ndarray
    kinds: np.ndarray
    embeddings: tuple[np.ndarray, np.ndarray]
    directions: np.ndarray
    mds: Dominance


def planted(seed: int = 0) -> Planted:
    random = np.random.default_rng(seed)
    kinds = np.array(["animal", "vehicle", "food", "rare"], dtype="<U9")[np.arange(N) % 4]
    place = np.arange(N) // 4
    kinds = np.where(kinds == "rare", np.char.add("rare ", (place % 60).astype(str)), kinds)
    image, text = (np.where(random.random((N, F)) < 0.05, random.uniform(0.5, 1.5, (N, F)), 0) for _ in "ab")
    image[:, :5], text[:, [0, 7, 8]] = 0, 0
    rare = (kinds == "animal") & (place % 20 == 0)
    half = place % 2 == 0
    fires = {
        0: (kinds == "animal") & ~rare,
        1: rare,
        2: (kinds == "vehicle") & half,
        3: (kinds == "vehicle") & ~half,
        4: kinds == "food",
    }
    for feature, there in fires.items():
        image[there, feature] = random.uniform(0.8, 1.2, there.sum())
    for feature, there in {
        0: kinds == "animal",
        7: np.isin(kinds, ["vehicle", "food"]),
        8: kinds == "vehicle",
    }.items():
        text[there, feature] = random.uniform(0.8, 1.2, there.sum())
    directions = np.linalg.qr(random.standard_normal((D, D)))[0][:F]
    directions[1] = (directions[0] + directions[1]) / np.sqrt(2)
    embeddings = tuple(
        codes @ directions + 0.02 * random.standard_normal((N, D)) + offset
        for codes, offset in ((image, 0.3), (text, -0.3))
    )
    mds = modality_dominance(image, text, resamples=10)
    return Planted(image, text, kinds, (embeddings[0], embeddings[1]), directions, mds)
