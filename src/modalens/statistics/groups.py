"""What is drawn together in resampling: the groups that pairs fall into."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.errors import ModalensError


def group_keys(groups: Sequence[Any] | np.ndarray, n_pairs: int) -> Int[np.ndarray, " n"]:
    """Key of every pair: the number of its group, counted from 0 in order of appearance.

    Raises
    ------
    ModalensError
        If there is not exactly one group label for each pair.
    """
    if getattr(groups, "ndim", 1) != 1:
        raise ModalensError(
            f"groups must be one label for each pair, not an array of shape {np.shape(groups)}."
        )
    labels = pd.Series(groups).to_numpy()
    if len(labels) != n_pairs:
        raise ModalensError(
            f"groups has {len(labels)} labels for {n_pairs} pairs; give one label for each pair."
        )
    keys, _ = pd.factorize(labels)
    if (keys < 0).any():
        raise ModalensError(
            f"The pair in row {int(np.argmin(keys))} has no group label; give one for each pair."
        )
    return keys.astype(np.int64)
