"""How far two classifications of the same features agree, from the table of counts of both."""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import random_table

from modalens.dominance.classes import DEAD
from modalens.statistics.intervals import percentile_interval
from modalens.studies.rater_agreement.study import kappas

_DRAWS = 500
# Of all cells together (Perks 1947): a few features that all agree do not show that all others would.
_PRIOR = 1.0


@dataclass(frozen=True)
class ClassAgreement:
    """Agreement of two classifications of the same features, averaged over replicates.

    Attributes
    ----------
    features
        How many features are live in both; the mean over replicates, rounded.
    same, ari, kappa
        Share of features of one class in both; adjusted Rand index and Cohen's kappa, 1 where both agree and 0
        at chance (Hubert and Arabie 1985; Cohen 1960). NaN where all features are of one class in both, which
        leaves nothing to agree on. More is steadier.
    *_low, *_high
        Middle 95 % of a Bayesian bootstrap over the features (Rubin 1981), in each replicate alike, so that they hold
        what differs between replicates.
    *_chance, *_chance_low, *_chance_high
        The same where the classes of one side are permuted over features.
    """

    features: int
    same: float
    same_low: float
    same_high: float
    same_chance: float
    same_chance_low: float
    same_chance_high: float
    ari: float
    ari_low: float
    ari_high: float
    ari_chance: float
    ari_chance_low: float
    ari_chance_high: float
    kappa: float
    kappa_low: float
    kappa_high: float
    kappa_chance: float
    kappa_chance_low: float
    kappa_chance_high: float

    def to_dict(self) -> dict[str, float]:
        """One table row."""
        return asdict(self)


def class_agreement(
    first: Int[np.ndarray, "f r"], second: Int[np.ndarray, "f r"], seed: int
) -> ClassAgreement:
    """Compare two classifications, replicate by replicate.

    Parameters
    ----------
    first, second
        Class codes of the same features (see :func:`modalens.dominance.classes.class_codes`); features that
        are dead on either side of a replicate are left out of it.
    seed
        Of the bootstrap and of the permutations.
    """
    tables = count_tables(first, second)
    rng = np.random.default_rng(seed)
    each = -(-_DRAWS // len(tables))
    resampled, permuted = [], []
    for table in tables:
        # Permuting classes keeps both margins.
        n = int(table.sum())
        if n == 0:
            continue
        possible = np.outer(table.sum(axis=1), table.sum(axis=0)) > 0
        drawn = np.zeros((each, DEAD, DEAD))
        drawn[:, possible] = n * rng.dirichlet(table[possible] + _PRIOR / possible.sum(), size=each)
        resampled.append(drawn)
        margins = random_table(table.sum(axis=1), table.sum(axis=0))
        permuted.append(margins.rvs(each, random_state=rng))
    empty = np.zeros((1, DEAD, DEAD))
    resampled_tables, permuted_tables = (np.concatenate(found or [empty]) for found in (resampled, permuted))
    cells: dict[str, float] = {}
    for name, measure in (("same", same_shares), ("ari", adjusted_rands), ("kappa", kappas)):
        chance = measure(permuted_tables)
        cells |= _cell(name, measure(tables), measure(resampled_tables))
        cells |= _cell(f"{name}_chance", chance, chance)
    return ClassAgreement(features=round(float(tables.sum(axis=(1, 2)).mean())), **cells)


def count_tables(first: Int[np.ndarray, "f r"], second: Int[np.ndarray, "f r"]) -> Int[np.ndarray, "r 3 3"]:
    """Number of features by class in the first (rows) and in the second (columns), in each replicate."""
    replicates = first.shape[1]
    live = (first != DEAD) & (second != DEAD)
    cell = (np.arange(replicates) * DEAD + first) * DEAD + second
    counts: np.ndarray = np.bincount(cell[live].astype(np.int64), minlength=replicates * DEAD**2)
    return counts.reshape(replicates, DEAD, DEAD)


def same_shares(tables: Float[np.ndarray, "r c c"]) -> Float[np.ndarray, " r"]:
    """Share of features with one class in both; NaN for an empty table."""
    with np.errstate(invalid="ignore"):
        shares: np.ndarray = np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2))
    return shares


def adjusted_rands(tables: Float[np.ndarray, "r c c"]) -> Float[np.ndarray, " r"]:
    """Adjusted Rand index of many tables at once (Hubert and Arabie 1985); NaN where both sides have one class."""

    def pairs(counts: np.ndarray) -> np.ndarray:
        counts = counts.astype(np.float64)
        together: np.ndarray = counts * (counts - 1) / 2
        return together

    both = pairs(tables).sum(axis=(1, 2))
    rows, columns = (pairs(tables.sum(axis=axis)).sum(axis=1) for axis in (2, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = rows * columns / pairs(tables.sum(axis=(1, 2)))
        most = (rows + columns) / 2
        return np.where(most > expected, (both - expected) / (most - expected), np.nan)


def _cell(name: str, values: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    defined = values[~np.isnan(values)]
    low, high = percentile_interval(draws)
    mean = float(defined.mean()) if defined.size else float("nan")
    # full agreement lies at the end of what can be drawn
    return {name: mean, f"{name}_low": float(np.fmin(low, mean)), f"{name}_high": float(np.fmax(high, mean))}
