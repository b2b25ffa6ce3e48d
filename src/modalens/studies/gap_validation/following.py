"""Whether measures follow a gap whose size is known by its making."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import rankdata

from modalens.statistics.buckets import Buckets
from modalens.statistics.intervals import hull_interval, interval
from modalens.studies.gap_validation.measures import MEASURES, resampled_measures
from modalens.studies.gap_validation.moves import swapped

FOLLOWS, PARTLY, DOES_NOT, NOT_TOLD = "follows", "partly", "moves away", "not told"
_MONOTONE = 0.9

# The value, and then the resamples, of each measure, by move and level.
Draws: TypeAlias = dict[tuple[str, float], Float[np.ndarray, "m r"]]


@dataclass(frozen=True, eq=False)
class Level:
    """Embeddings whose gap is closed so far.

    Attributes
    ----------
    move
        By what means.
    closed
        How far, growing as the gap closes; only its order counts.
    image, text
        The pairs, (n, d) each; the same pairs at every level of a move.
    """

    move: str
    closed: float
    image: Float[np.ndarray, "n d"]
    text: Float[np.ndarray, "n d"]


def measured_levels(
    levels: Sequence[Level], groups: Int[np.ndarray, " n"], resamples: int, seed: int
) -> tuple[pd.DataFrame, Draws]:
    """Every measure at every level, with its 95 % interval over resamples of the groups, the same at all levels.

    Returns
    -------
    table
        One row for each level: ``move``, ``closed`` and the measures (``MEASURES``) with their ends.
    draws
        The value, and then the resamples, of each measure, by move and level.
    """
    buckets = Buckets.of(len(groups), groups)
    numbers = buckets.numbers(groups)
    weights = np.concatenate([np.ones((buckets.n, 1)), buckets.weights(resamples, seed)], axis=1)
    rows = []
    draws: Draws = {}
    for each in levels:
        found = resampled_measures(each.image, each.text, numbers, weights)
        draws[each.move, each.closed] = found
        row: dict[str, object] = {"move": each.move, "closed": each.closed}
        for name, values in zip(MEASURES, found, strict=True):
            # Noise widens R in the data and again in each resample, so that percentiles alone lie too high.
            low, high = hull_interval(values[0], values[1:])
            row |= {name: float(values[0]), f"{name}_low": max(0.0, float(low)), f"{name}_high": float(high)}
        rows.append(row)
    return pd.DataFrame(rows), draws


def following_table(draws: Draws, floor: Float[np.ndarray, " m"] | None) -> pd.DataFrame:
    """One row for each move and measure: does it fall as the gap closes?

    Parameters
    ----------
    draws
        As :func:`measured_levels` gives them.
    floor
        Each measure where the labels of half of the pairs are swapped, which is no gap; None where that is not known.

    Returns
    -------
    DataFrame
        ``start`` and ``end``: the measure before the gap is closed and at the end. ``floor``: what it is with no gap at
        all. ``spearman``: rank correlation of the measure with the level, -1 where it falls at every step, 0 where it
        never moves, with the 95 % interval over resamples; ``verdict``: ``follows`` where it is under -.9 and its
        interval under 0, ``partly`` where the interval lies under 0, ``moves away`` where it lies over 0, else ``not
        told``.
    """
    rows = []
    for move in dict.fromkeys(name for name, _ in draws):
        levels = sorted(closed for name, closed in draws if name == move)
        values = np.stack([draws[move, closed] for closed in levels])  # level, measure, draw
        for place, name in enumerate(MEASURES):
            found = spearman(values[:, place])
            low, high = interval(found[1:])
            row = {"move": move, "measure": name, "start": values[0, place, 0], "end": values[-1, place, 0]}
            row["floor"] = np.nan if floor is None else float(floor[place])
            row |= {"spearman": float(found[0]), "spearman_low": low, "spearman_high": high}
            rows.append(row | {"verdict": verdict_of(float(found[0]), low, high)})
    return pd.DataFrame(rows)


def verdict_of(value: float, low: float, high: float) -> str:
    """By the rule that :func:`following_table` states."""
    if high < 0:
        return FOLLOWS if value <= -_MONOTONE else PARTLY
    return DOES_NOT if low > 0 else NOT_TOLD


def spearman(values: Float[np.ndarray, "l r"]) -> Float[np.ndarray, " r"]:
    """Spearman's correlation of each column with the order of its rows; 0 for a column of one value."""
    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    order = np.arange(len(values)) - (len(values) - 1) / 2
    scale = np.sqrt((ranks**2).sum(axis=0) * (order**2).sum())
    found: np.ndarray = np.divide(order @ ranks, scale, out=np.zeros(values.shape[1]), where=scale > 0)
    return found


def floor_of(
    image: Float[np.ndarray, "n d"],
    text: Float[np.ndarray, "n d"],
    groups: Int[np.ndarray, " n"],
    draws: int,
    seed: int,
) -> Float[np.ndarray, " m"]:
    """Mean of each measure over draws in which half of the pairs have their sides exchanged."""
    buckets = Buckets.of(len(groups), groups)
    ones = np.ones((buckets.n, 1))
    found = [
        resampled_measures(*swapped(image, text, 1.0, seed + turn), buckets.numbers(groups), ones)[:, 0]
        for turn in range(draws)
    ]
    means: np.ndarray = np.mean(found, axis=0)
    return means
