"""Random sets of features that weigh as much as another set: the control of equal energy beside that of equal number.

One class of sparse features can hold 38 % of the features and 95 % of a modality's energy, so that losing it costs more
than losing as many random ones by its size alone.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Matrix, iter_blocks, matrix_shape
from modalens.edit.index_sets import IndexSet

EQUAL_ENERGY = "random_energy"


def feature_energy(x: Matrix, name: str = "feature") -> Float[np.ndarray, " f"]:
    """Sum of squares of every feature over the samples of one modality, (n, f), read in blocks.

    With decoder rows of unit length this is what the feature adds to the squared length of embeddings, but for
    what it shares with others.
    """
    energy = np.zeros(matrix_shape(x)[1])
    for _, block in iter_blocks(x, name=name):
        squares = block.multiply(block) if sp.issparse(block) else block**2
        energy += np.asarray(squares.sum(axis=0), dtype=np.float64).ravel()
    return energy


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
