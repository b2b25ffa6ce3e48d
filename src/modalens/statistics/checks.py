"""Settings that several measures share, checked in one way."""

import numpy as np

from modalens.errors import ModalensError

DEFAULT_RANKING = "magnitude"
RANKINGS = (DEFAULT_RANKING, "value")


def check_whole(name: str, value: int, least: int) -> int:
    """The setting as a plain integer, if it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ModalensError(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return int(value)


def check_resampling(resamples: int, seed: int) -> tuple[int, int]:
    """Both as plain integers, if they are whole numbers of at least 0."""
    return check_whole("resamples", resamples, 0), check_whole("seed", seed, 0)


def check_ranking(by: str) -> str:
    """The ranking itself, if there is one of this name."""
    if by not in RANKINGS:
        raise ModalensError(f"Samples cannot be ranked by {by!r}; choose one of {', '.join(RANKINGS)}.")
    return by
