"""From success rates and optimised images to the tables of the study, and what they let one say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import norm
from scipy.stats import t as student

from modalens.edit.energy_sets import EQUAL_ENERGY
from modalens.edit.index_sets import CLASS, RANDOM
from modalens.statistics.controls import against_random, corrected
from modalens.studies.stats.sentences import (
    CONTROLS,
    CORRECTED,
    beside_controls,
    class_words,
    counted_features,
    q_words,
)

REFERENCE, ATTACK, ALL = "reference", "attack", "all"
_NEAREST = 1000.0  # an image that arrives is infinitely nearer
UNDEFENDED = "undefended"
BENIGN = "benign image"

# Success rates with LLaVA-1.5-7b as victim (Beyond Cross-Modal Alignment, Table 3 and appendix A.5.2).
PUBLISHED = {
    UNDEFENDED: 0.7326,
    BENIGN: 0.10,
    "image": 0.6271,
    "cross": 0.3544,
    "text": 0.2489,
    RANDOM: 0.5428,
}


def published_rate(name: str, *, own: bool, repeated: bool) -> float:
    """The published rate of a set; NaN where none was measured in the same way.

    Parameters
    ----------
    name
        Of the set.
    own
        Whether the features are the embeddings' own, as the papers' are; what was aligned on none is.
    repeated
        Whether the prompt repeats the request, without which a benign image has nothing to be obeyed.
    """
    if not own or (name == BENIGN and not repeated):
        return nan
    return PUBLISHED.get(name, nan)


@dataclass(frozen=True, eq=False)
class Row:
    """One set of images: what was done to them, and how often they got their way.

    Attributes
    ----------
    name, kind, size
        Of the set; ``size`` is the number of features that were aligned, None where none were.
    rates
        Success of each request in each run, (r, n).
    unclear
        Tries without a verdict.
    of
        Whose features were aligned, such as ``raw``; empty where none were.
    published
        The published rate of such a set; NaN where there is none.
    energy
        Share of the energy of the images' features that the set holds; NaN where none were aligned.
    beside
        The class whose control of equal energy it is; empty for all other sets.
    """

    name: str
    kind: str
    size: int | None
    rates: Float[np.ndarray, "r n"]
    unclear: int
    of: str = ""
    published: float = nan
    energy: float = nan
    beside: str = ""


@dataclass(frozen=True, eq=False)
class PathOfSet:
    """The way of a set's images through the embedding space.

    Attributes
    ----------
    name, kind, of
        Of the set, and whose features were aligned (empty for the attack).
    steps
        Steps of the optimisation, (s,).
    to_target, to_friendly
        Cosine of each image to the target of its attack and to its friendly image, (s, n).
    distance
        On the set's features to where the images were moved, (s, n).
    change
        The largest change of a pixel of each image from where it started, in [0, 1], (n,).
    """

    name: str
    kind: str
    steps: Sequence[int]
    to_target: Float[np.ndarray, "s n"]
    to_friendly: Float[np.ndarray, "s n"]
    distance: Float[np.ndarray, "s n"]
    change: Float[np.ndarray, " n"]
    of: str = ""


def success_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One row a set: its success rate beside random sets of equal number and of equal energy, and the published one.

    ``rate`` is the mean over runs and requests with a Wilson interval that counts each request once (tries of one
    image are no independent evidence); ``std`` is over runs. ``random`` is the mean over random sets,
    ``difference`` = rate - random with its 95 % interval, under 0 where the set defends better; ``p`` is two-sided,
    of the hypothesis that the set is one more random one, ``q`` corrected for all of the table, and ``detectable`` the
    smallest difference that the test finds with power .8. Columns that end in ``_energy`` are the same beside random
    sets that hold as much of the ``energy`` as a class does.
    """
    randoms = {row.of: row for row in rows if row.kind == RANDOM}
    as_energetic = {(row.of, row.beside): row for row in rows if row.kind == EQUAL_ENERGY}
    table = pd.DataFrame(
        [
            {**_success(row), **_against(row, randoms.get(row.of), ""),
             **_against(row, as_energetic.get((row.of, row.name)), "_energy"),
             "published": row.published, "unclear": row.unclear}
            for row in rows
        ]
    )  # fmt: skip
    table[[f"q{end}" for end in CONTROLS]] = corrected(table[[f"p{end}" for end in CONTROLS]].to_numpy())
    return table


def paths_table(paths: Sequence[PathOfSet]) -> pd.DataFrame:
    """One row a set and step: mean cosines over images, with 95 % intervals of Student's t."""
    rows = []
    for path in paths:
        for number, step in enumerate(path.steps):
            rows.append(
                {
                    "of": path.of,
                    "set": path.name,
                    "kind": path.kind,
                    "step": int(step),
                    **_mean("cosine_to_target", path.to_target[number], (-1, 1)),
                    **_mean("cosine_to_friendly", path.to_friendly[number], (-1, 1)),
                }
            )
    return pd.DataFrame(rows)


def distances_table(paths: Sequence[PathOfSet]) -> pd.DataFrame:
    """One row a set: how near its images came, on the features that were compared, and what it cost in pixels.

    ``nearer`` is the geometric mean over images of distance before / distance after, each at most 1000; NaN where
    there was no distance to begin with. ``largest_change`` is the mean over images of the largest change
    of a pixel, in [0, 1].
    """
    rows = []
    for path in paths:
        before, after = path.distance[0], path.distance[-1]
        there = before > 0
        logs = np.log(np.minimum(before[there] / np.maximum(after[there], 1e-12), _NEAREST))
        nearer = _mean("nearer", logs, (-np.inf, np.inf)) if there.any() else {"nearer": nan}
        rows.append(
            {
                "of": path.of,
                "set": path.name,
                "kind": path.kind,
                **_mean("distance_before", before, (0, np.inf)),
                **_mean("distance_after", after, (0, np.inf)),
                **{key: float(np.exp(value)) for key, value in nearer.items()},
                **_mean("largest_change", path.change, (0, 1)),
            }
        )
    return pd.DataFrame(rows)


def statements(success: pd.DataFrame, distances: pd.DataFrame, n: int, runs: int) -> list[str]:
    """What the tables let one say, and no more."""
    rows = success.to_dict("records")
    undefended, benign = (next(row for row in rows if row["set"] == name) for name in (UNDEFENDED, BENIGN))
    attack = distances[distances["kind"] == ATTACK].iloc[0]
    works = undefended["rate_low"] > benign["rate_high"]
    said = [
        (
            f"The attack brought {n} images {attack['nearer']:.3g} times nearer to their targets; the pixel that moved "
            f"most moved by {attack['largest_change'] * 255:.0f} of 255 levels on average."
        )
    ]
    meet = "" if works else "; these intervals meet, so what follows says little of any defence"
    said.append(
        f"Undefended, they got their way in {_share(undefended)} of the tries, the benign images in {_share(benign)}"
        f"{meet}."
    )
    tested = [row for row in rows if row["kind"] == CLASS and not np.isnan(row["p"])]
    for row in tested:
        beside = " and on random ones of ".join(
            f"{name} in {row[f'random{end}']:.1%} (difference {row[f'difference{end}_low']:+.1%} to "
            f"{row[f'difference{end}_high']:+.1%}, {q_words(row[f'q{end}'])})"
            for end, name in CONTROLS.items()
            if not np.isnan(row[f"p{end}"])
        )
        said.append(
            f"Aligned on {counted_features(row['features'], row['set'])} of {row['of']} "
            f"({row['energy']:.1%} of the energy) they got it in {_share(row)}, on random ones of {beside}: "
            f"{_verdict(row, success)}."
        )
    if tested:
        tests = int(success[[f"p{end}" for end in CONTROLS]].notna().to_numpy().sum())
        said.append(f"Each p compares a set with {runs} random sets. {CORRECTED.format(tests)}")
    if success["unclear"].sum():
        said.append(f"{success['unclear'].sum()} tries got no verdict from the judge and are left out.")
    return said


def _verdict(row: Mapping[Any, Any], success: pd.DataFrame) -> str:
    """How the class defends beside both kinds of random sets; "better" needs both."""
    found = beside_controls(row, "defends better than", "defends worse than", "{:.1%}")
    verdict = class_words(found)
    if list(found) != ["defends better than"]:
        return verdict
    others = success[success["of"] == row["of"]]
    controls = [CLASS, RANDOM, EQUAL_ENERGY, REFERENCE, ATTACK, ALL]
    best = others.loc[~others["kind"].isin(controls), "rate"].min()
    return f"{verdict}; on as many important ones they got it in {best:.1%} at best, which is not tested"


def _success(row: Row) -> dict[str, Any]:
    by_request = _mean_over_runs(row.rates)
    judged = ~np.isnan(by_request)
    rate = float(by_request[judged].mean()) if judged.any() else nan
    low, high = _wilson(rate, int(judged.sum()))
    by_run = [run[~np.isnan(run)].mean() for run in row.rates if not np.isnan(run).all()]
    return {
        "of": row.of,
        "set": row.name,
        "kind": row.kind,
        "features": pd.NA if row.size is None else row.size,
        "energy": row.energy,
        "rate": rate,
        "rate_low": low,
        "rate_high": high,
        "std": float(np.std(by_run, ddof=1)) if len(by_run) > 1 else nan,
    }


def _against(row: Row, random: Row | None, end: str) -> dict[str, float]:
    """The columns of one kind of random sets, which end in ``end``; NaN where the row is no set to compare."""
    names = ("random", "difference", "difference_low", "difference_high", "p", "q", "detectable")
    found = {name.replace("_", f"{end}_", 1) if "_" in name else f"{name}{end}": nan for name in names}
    if random is None or row.kind in (RANDOM, EQUAL_ENERGY, ALL) or len(random.rates) < 2:
        return found
    if not end and row.size != random.size:
        return found
    by_request = _mean_over_runs(row.rates)
    usable = ~np.isnan(by_request) & ~np.isnan(random.rates).any(axis=0)
    if not usable.any():
        return found
    against = against_random(by_request[usable], random.rates[:, usable], np.arange(usable.sum()))
    return found | {
        f"random{end}": float(random.rates[:, usable].mean()),
        f"difference{end}": against.difference,
        f"difference{end}_low": max(against.low, -1.0),
        f"difference{end}_high": min(against.high, 1.0),
        f"p{end}": against.p,
        f"detectable{end}": against.detectable,
    }


def _mean_over_runs(rates: Float[np.ndarray, "r n"]) -> Float[np.ndarray, " n"]:
    """Mean of each request over the runs that have one."""
    counted = (~np.isnan(rates)).sum(axis=0)
    means: np.ndarray = np.where(counted > 0, np.nansum(rates, axis=0) / np.maximum(counted, 1), nan)
    return means


def _wilson(rate: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n (Wilson 1927)."""
    if n == 0:
        return nan, nan
    z = float(norm.ppf(0.975))
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return max(float(middle - reach), 0.0), min(float(middle + reach), 1.0)


def _mean(name: str, values: Float[np.ndarray, " n"], bounds: tuple[float, float]) -> dict[str, float]:
    """Mean and its 95 % interval, within bounds; of a single value there is no interval."""
    n, mean = len(values), float(values.mean())
    reach = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else nan
    low, high = np.clip([mean - reach, mean + reach], *bounds).tolist()
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _share(row: Mapping[Any, Any]) -> str:
    return f"{row['rate']:.1%} ({row['rate_low']:.1%} to {row['rate_high']:.1%})"
