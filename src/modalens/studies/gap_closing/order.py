"""Features in the order in which the gap is to lose them."""

import numpy as np
from jaxtyping import Float, Int

from modalens.dominance.result import Dominance
from modalens.edit import live_features


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
