"""The tables of the study: what is measured of each set at each strength, and how fast it changes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modalens.edit.index_sets import CLASS
from modalens.statistics.controls import corrected
from modalens.studies.text_to_image_control.measures import COLOUR, EDGES, REFERENCE, UNEDITED
from modalens.studies.text_to_image_control.sets import ALL
from modalens.studies.text_to_image_control.slopes import against_random_sets, mean_of, slope_of
from modalens.studies.text_to_image_control.sweep import Sweep

CONTENT_SHARE, SURFACE_SHARE, BALANCE = "content_share", "surface_share", "content_less_surface"
# What sentences speak of.
COMPARED = (REFERENCE, COLOUR, EDGES, UNEDITED, BALANCE)
_COMPARISON = ("random", "difference", "difference_low", "difference_high", "p", "q", "detectable")


def cells_table(sweeps: Mapping[str, Sweep], seed: int) -> pd.DataFrame:
    """One row a space, set and strength; random sets of a kind are one row, the mean over them.

    Each measure is its mean over references and seeds with a 95 % interval (see
    :func:`~modalens.studies.text_to_image_control.slopes.mean_of`). Sets are ``matched`` by ``number`` or by
    ``energy``, of which each holds a share (NaN where it was not measured).
    """
    rows = []
    for space, sweep in sweeps.items():
        for about, members in _rows(sweep):
            for place, strength in enumerate(sweep.strengths):
                row: dict[str, Any] = {"space": space, **about, "strength": strength}
                for measure, values in sweep.values.items():
                    row |= _interval(measure, values[members, place].mean(axis=0), seed)
                rows.append(row)
    return pd.DataFrame(rows)


def slopes_table(sweeps: Mapping[str, Sweep], seed: int) -> pd.DataFrame:
    """One row a space, measure and set: how much the measure changes from strength 0 to 1, beside random sets.

    ``slope`` is the mean over references and seeds with a 95 % interval. ``random`` is the mean over random
    sets that are ``matched`` by the same (number or energy), ``difference`` = slope - random with its 95 % interval,
    and ``p`` two-sided, of the hypothesis that the class is one more random set; ``q`` is ``p`` corrected for all
    classes being compared in all measures that sentences speak of, and ``detectable`` the smallest difference that the
    test finds with power .8.

    Three measures are made of the others' slopes, each as a share of what all features together do on average:
    ``content_share`` of ``to_reference``, ``surface_share`` the mean of that of ``colour_distance`` and
    ``edge_distance``, and ``content_less_surface`` the difference of the two: above 0 a set carries more of a
    picture's content than of its surface. They are left out where all features together do not bring pictures
    nearer in each of the three (the interval of a slope reaches 0).
    """
    rows = []
    for space, sweep in sweeps.items():
        slopes = {
            name: slope_of(values, np.asarray(sweep.strengths)) for name, values in sweep.values.items()
        }
        everything = next(number for number, each in enumerate(sweep.sets) if each.kind == ALL)
        slopes |= _shares(slopes, everything, seed)
        randoms = {
            by: [place for place, each in enumerate(sweep.sets) if each.random and each.matched == by]
            for by in dict.fromkeys(each.matched for each in sweep.sets)
        }
        for measure, values in slopes.items():
            for about, members in _rows(sweep):
                own = values[members].mean(axis=0)
                row = {"space": space, "measure": measure, **about, **_interval("slope", own, seed)}
                row |= dict.fromkeys(_COMPARISON, np.nan)
                if about["kind"] == CLASS:
                    beside = values[randoms[about["matched"]]]
                    against = against_random_sets(own, beside, seed)
                    row |= {
                        "random": float(beside.mean()),
                        "difference": against.difference,
                        "difference_low": against.low,
                        "difference_high": against.high,
                        "p": against.p,
                        "detectable": against.detectable,
                    }
                rows.append(row)
    table = pd.DataFrame(rows)
    table["q"] = corrected(table["p"].where(table["measure"].isin(COMPARED)).to_numpy())
    return table


def _shares(
    slopes: Mapping[str, Float[np.ndarray, "a n r"]], everything: int, seed: int
) -> dict[str, Float[np.ndarray, "a n r"]]:
    """Slopes as shares of the mean slope of all features, where those are reliably towards the reference."""
    whole = {name: mean_of(slopes[name][everything], seed) for name in (REFERENCE, COLOUR, EDGES)}
    nearer = whole[REFERENCE].low > 0 and whole[COLOUR].high < 0 and whole[EDGES].high < 0
    if not nearer:
        return {}
    content = slopes[REFERENCE] / whole[REFERENCE].value
    surface = (slopes[COLOUR] / whole[COLOUR].value + slopes[EDGES] / whole[EDGES].value) / 2
    return {CONTENT_SHARE: content, SURFACE_SHARE: surface, BALANCE: content - surface}


def _rows(sweep: Sweep) -> list[tuple[dict[str, Any], list[int]]]:
    """What a row of a table is about and its members: one set, or all random ones that are matched alike."""
    places: dict[tuple[str, str, str], list[int]] = {}
    for number, each in enumerate(sweep.sets):
        name = "random" if each.random else each.name
        places.setdefault((name, each.kind, each.matched), []).append(number)
    rows = []
    for (name, kind, matched), members in places.items():
        sets = [sweep.sets[place] for place in members]
        about: dict[str, Any] = {"set": name, "kind": kind, "matched": matched}
        about |= {"features": round(float(np.mean([len(each) for each in sets])), 1)}
        about |= {"energy": float(np.mean([each.energy for each in sets]))}
        rows.append((about, members))
    return rows


def _interval(name: str, values: Float[np.ndarray, "n r"], seed: int) -> dict[str, float]:
    mean = mean_of(values, seed)
    return {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
