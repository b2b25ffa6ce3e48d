"""Features in the order in which the gap is to lose them, and random ones that weigh as much."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Block
from modalens.dominance.result import Dominance
from modalens.edit import IndexSet, live_features

EQUAL_ENERGY = "random_energy"


def feature_energy(image: Block, text: Block) -> Float[np.ndarray, "2 f"]:
    """Sum of squares of every feature over the pairs, for each side.

    With decoder rows of unit length this is what the feature adds to the squared length of embeddings, but for
    what it shares with others.
    """
    squares = (side.multiply(side) if sp.issparse(side) else side**2 for side in (image, text))
    return np.stack([np.asarray(each.sum(axis=0), dtype=np.float64).ravel() for each in squares])


def one_sided_order(mds: Dominance, energy: Float[np.ndarray, "2 f"]) -> Int[np.ndarray, " k"]:
    """Live features, those of a one-sided class first, then the others; in each part by one-sided energy.

    The one-sided energy of a feature is the difference between its energies in the two modalities. Ordered by
    abs(R - 1/2) alone, features that fire in a pair or two would come first, since they cannot but be one-sided.
    """
    text, _, image, _ = mds.classes
    live = live_features(mds)
    crossing = ~np.isin(mds.labels[live], (image, text))
    order: np.ndarray = live[np.lexsort((-abs(energy[0] - energy[1])[live], crossing))]
    return order


def equal_energy_sets(
    features: Int[np.ndarray, " k"], energy: Float[np.ndarray, " f"], target: float, draws: int, seed: int
) -> tuple[IndexSet, ...]:
    """Random sets that carry as much energy as another set, however many features that takes.

    Each goes through the features in a random order and takes what still fits under ``target``, so what is
    missing of it is less than the smallest feature left out. A draw in which nothing fits takes the weakest.

    Parameters
    ----------
    features
        The features to draw from.
    energy
        Energy of every feature, (f,), not negative.
    target
        The energy to reach.
    draws, seed
        How many sets, and the seed; the first sets stay the same when more are drawn.
    """
    sets = []
    limit = target * (1 + 1e-9)  # sums in another order differ in their last bits
    for place in range(draws):
        generator = np.random.default_rng(np.random.SeedSequence([seed, place]))
        order = generator.permutation(features)
        taken, total = [], 0.0
        for feature, amount in zip(order.tolist(), energy[order].tolist(), strict=True):
            if total + amount <= limit:
                taken.append(feature)
                total += amount
        chosen = taken or [int(features[np.argmin(energy[features])])]
        sets.append(IndexSet(f"equal energy {place + 1}", EQUAL_ENERGY, np.sort(np.array(chosen))))
    return tuple(sets)
