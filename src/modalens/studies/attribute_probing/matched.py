"""As many pairs of each of two values, so that neither their numbers nor what else they show can tell them apart."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool


def two_commonest(values: np.ndarray) -> tuple[str, str] | None:
    """The two values that most pairs have, sorted; None where there are fewer. Pairs without a value have None."""
    counts = pd.Series(values, dtype=object).dropna().astype(str).value_counts()
    ordered = sorted(counts.index, key=lambda value: (-counts[value], value))[:2]
    return (min(ordered), max(ordered)) if len(ordered) == 2 else None


def matched_pairs(
    values: np.ndarray,
    pair: tuple[str, str],
    tested: Bool[np.ndarray, " n"] | None,
    concepts: Sequence[object] | np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """The value of each pair that is drawn, None for all others.

    As many pairs of either value are drawn at random as the rarer one has: among the tested pairs and among the others,
    and with concepts among the pairs of each concept, where pairs of no concept are left out.

    Parameters
    ----------
    values
        Value of each pair, (n,), None where it has none.
    pair
        The two values.
    tested
        Which pairs are tested, (n,); None where all are.
    concepts
        One label a pair, (n,); None for pairs that are not told apart otherwise.
    seed
        Of the draw.
    """
    n = len(values)
    frame = pd.DataFrame(
        {
            "value": values,
            "part": np.zeros(n, dtype=bool) if tested is None else tested,
            "concept": np.zeros(n) if concepts is None else np.asarray(concepts, dtype=object),
        }
    )
    frame = frame[frame["value"].isin(pair) & frame["concept"].notna()]
    frame["concept"] = frame["concept"].astype(str)
    frame = frame.iloc[np.random.default_rng(seed).permutation(len(frame))]
    counts = frame.groupby(["part", "concept", "value"]).size().unstack(fill_value=0)
    fewest = counts.reindex(columns=list(pair), fill_value=0).min(axis=1)
    place = frame.groupby(["part", "concept", "value"]).cumcount().to_numpy()
    most = fewest.reindex(pd.MultiIndex.from_frame(frame[["part", "concept"]])).to_numpy()
    drawn = np.full(n, None, dtype=object)
    rows = frame.index.to_numpy()[place < most]
    drawn[rows] = np.asarray(values, dtype=object)[rows]
    return drawn
