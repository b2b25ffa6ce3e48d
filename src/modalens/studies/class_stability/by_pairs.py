"""Scores and class counts against the number of pairs they rest on."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.arrays import Matrix, sliceable
from modalens.dominance import Dominance, modality_dominance
from modalens.studies.class_stability.config import StabilityConfig
from modalens.studies.options import rule_names

_STEPS = (50, 100, 200)


def by_pairs(
    image: Matrix,
    text: Matrix,
    keys: Int[np.ndarray, " n"],
    config: StabilityConfig,
    modalities: tuple[str, str],
) -> pd.DataFrame:
    """Score growing parts of the pairs, each part of the next and of whole groups, in one random order of the groups.

    Parameters
    ----------
    image, text
        Paired features (n, f).
    keys
        The group of each pair.
    config
        How scores are made; as many resamples behind intervals, and the seed of the order.
    modalities
        Names of the two sides.

    Returns
    -------
    DataFrame
        One row a part and class rule: its ``pairs`` and ``groups``, ``live`` features, ``mean`` and ``std`` of R, the
        ``correlation`` of R with that of all pairs over live features (which the part belongs to, so it ends at 1), and
        the count of each class with its 95 % interval.
    """
    image, text = sliceable(image), sliceable(text)
    parts = list(_parts(keys, config.seed))
    scored = [_score(image[rows], text[rows], keys[rows], config, modalities) for rows in parts]
    rows = []
    for part, found in zip(parts, scored, strict=True):
        for rule in rule_names():
            row = {
                "pairs": len(part),
                "groups": found.groups,
                "rule": rule,
                "live": int((~np.isnan(found.score)).sum()),
                "mean": found.mean,
                "std": found.std,
                "correlation": _correlation(found.score, scored[-1].score),
            }
            intervals = found.count_intervals(rule)
            for label, count in found.counts(rule).items():
                if label in intervals and label != "dead":
                    low, high = intervals[label]
                    row |= {label: count, f"{label}_low": low, f"{label}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def statement(table: pd.DataFrame, modalities: tuple[str, str]) -> str | None:
    """How the count of one-sided features changes as pairs are added; nothing where there is one part."""
    rows = table[table["rule"] == "twofold"].to_dict("records")
    if len(rows) < 2:
        return None
    told = [
        f"{sum(row[name] for name in modalities)} on {row['pairs']:,} pairs (r = {row['correlation']:.2f})"
        for row in (rows[0], *rows[len(rows) // 2 : -1][:1], rows[-1])
    ]
    return (
        f"So many features count as one-sided under twofold: {', '.join(told[:-1])} and {told[-1]}; r is the "
        "correlation of R with that of all pairs. Noise of few pairs moves features across the bounds, so read a count "
        "where it has settled."
    )


def _score(
    image: Matrix, text: Matrix, keys: np.ndarray, config: StabilityConfig, modalities: tuple[str, str]
) -> Dominance:
    return modality_dominance(
        image,
        text,
        config.estimator,
        normalize=config.normalize,
        resamples=config.resamples,
        seed=config.seed,
        groups=keys,
        modalities=modalities,
    )


def _parts(keys: Int[np.ndarray, " n"], seed: int) -> Iterator[Int[np.ndarray, " m"]]:
    """Rows of growing parts, in order: about 50, 100, 200, 500, 1,000 and so on, and all; of two groups at least."""
    sizes = np.bincount(keys)
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,))).permutation(len(sizes))
    reached = np.cumsum(sizes[order])
    for size in (step * 10**power for power in range(8) for step in _STEPS):
        if size >= len(keys):
            break
        groups = max(2, int(np.searchsorted(reached, size)) + 1)
        if reached[groups - 1] < len(keys):
            yield np.flatnonzero(np.isin(keys, order[:groups]))
    yield np.arange(len(keys))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    live = ~np.isnan(one) & ~np.isnan(other)
    if live.sum() < 2 or not (np.ptp(one[live]) and np.ptp(other[live])):
        return float("nan")
    return float(np.corrcoef(one[live], other[live])[0, 1])
