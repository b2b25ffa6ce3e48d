"""Do scores follow a gap that is closed by known means?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modalens.arrays import Matrix, iter_blocks, paired_shape
from modalens.progress import progress_bar
from modalens.statistics.groups import group_keys
from modalens.studies.gap_validation.config import KnownGapConfig
from modalens.studies.gap_validation.following import (
    FOLLOWS,
    Draws,
    Level,
    floor_of,
    following_table,
    measured_levels,
)
from modalens.studies.gap_validation.learned import BASELINE, TRAINED, learned_table
from modalens.studies.gap_validation.measures import L2M, RMG, SIDED, SPREAD
from modalens.studies.gap_validation.moves import MOVES
from modalens.studies.result import StudyResult

_FLOORS = 5
_CALLED = {L2M: "L2M", RMG: "RMG", SPREAD: "the spread of R"} | {
    name: f"the share of one-sided dimensions by {rule}" for rule, name in SIDED.items()
}


def known_gap(
    image: Matrix,
    text: Matrix,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    modalities: tuple[str, str] = ("image", "text"),
    source: Mapping[str, Any] | None = None,
    config: KnownGapConfig | None = None,
    **options: Any,
) -> StudyResult:
    """Close the gap of embeddings step by step by known means, and see which measures follow.

    Parameters
    ----------
    image, text
        Paired embeddings (n, d).
    groups
        One label a pair; pairs of one group are drawn together.
    modalities
        Names of the sides.
    source
        What the study is run on; kept with the result.
    config, options
        A :class:`KnownGapConfig`, and options of it by name.

    Returns
    -------
    StudyResult
        Tables ``levels`` (every measure at every level of every move,
        :func:`~modalens.studies.gap_validation.following.measured_levels`) and ``following`` (does each fall as the gap
        closes, :func:`~modalens.studies.gap_validation.following.following_table`); with ``steps`` also ``learned``,
        autoencoders trained at four levels, and the same with a frozen decoder.

    Raises
    ------
    ModalensError
        If sizes do not match or an option is unknown or out of range.

    Notes
    -----
    It tests the measures, not the model: each move is known to close the difference of the modality means. Only where
    sides are exchanged (``swap``) is all that tells modalities apart known to go; what a measure keeps after the others
    is what the modalities differ in beyond their means.
    """
    config = KnownGapConfig.of(config, options, "known_gap")
    n, _ = paired_shape(image, text, modalities)
    keys = np.arange(n) if groups is None else group_keys(groups, n)
    rows = np.arange(n)
    notes = []
    if n > config.max_pairs:
        rows = np.sort(np.random.default_rng(config.seed).choice(n, config.max_pairs, replace=False))
        notes.append(f"Of {n:,} pairs {config.max_pairs:,} were drawn at random.")
    first, second = (_read(side, rows, name) for side, name in zip((image, text), modalities, strict=True))
    numbers = np.unique(keys[rows], return_inverse=True)[1]
    steps = np.linspace(0, 1, config.levels + 1).tolist()
    parts: list[pd.DataFrame] = []
    draws: Draws = {}
    with progress_bar("Closing the gap", len(MOVES)) as advance:
        for name, (_, move) in MOVES.items():
            levels = [Level(name, closed, *move(first, second, closed, config.seed)) for closed in steps]
            table, found = measured_levels(levels, numbers, config.resamples, config.seed)
            parts.append(table)
            draws |= found
            advance(1)
    floor = floor_of(first, second, numbers, _FLOORS, config.seed)
    following = following_table(draws, floor)
    tables = {"following": following, "levels": pd.concat(parts, ignore_index=True)}
    said = statements(following)
    if config.steps:
        tables["learned"] = learned_table(first, second, modalities, config)
        said += _of_learned(tables["learned"])
    return StudyResult(
        name="known-gap",
        title="Do scores follow a gap that is closed by known means?",
        tables=tables,
        statements=[*said, *notes],
        config={
            **vars(config),
            "pairs": len(rows),
            "groups": len(np.unique(numbers)),
            "modalities": list(modalities),
        },
        source=dict(source or {}),
    )


def statements(following: pd.DataFrame) -> list[str]:
    """One sentence for each move."""
    said = []
    for move, rows in following.groupby("move", sort=False):
        what = f" ({MOVES[str(move)][0]})" if move in MOVES else ""
        parts = []
        for row in rows.to_dict("records"):
            floor = "" if row["floor"] != row["floor"] else f", {row['floor']:.3f} with no gap"
            verdict = "follows" if row["verdict"] == FOLLOWS else f"does not ({row['verdict']})"
            parts.append(
                f"{_CALLED[row['measure']]} {verdict}: {row['start']:.3f} to {row['end']:.3f}{floor}, Spearman "
                f"{row['spearman']:+.2f} ({row['spearman_low']:+.2f} to {row['spearman_high']:+.2f})"
            )
        said.append(f"As the gap is closed by {move}{what}: {'; '.join(parts)}.")
    said.append(
        "A measure follows where its rank correlation with the known order is under -.9 and its interval over "
        "resamples under 0. That the means meet does not make the modalities alike: a spread of R that stays over what "
        "it is with no gap tells of dimensions that differ in size beyond their means."
    )
    return said


def _of_learned(table: pd.DataFrame) -> list[str]:
    (first, last), (frozen, frozen_last) = (
        table[table["features"] == kind].iloc[[0, -1]].to_dict("records") for kind in (TRAINED, BASELINE)
    )
    return [
        (
            f"Autoencoders trained on the pairs as they are have {_sides(first)}; trained once the means meet "
            f"{_sides(last)}. With decoder rows that stay random directions it is {_sides(frozen)}, and "
            f"{_sides(frozen_last)} (one seed each; no interval)."
        )
    ]


def _sides(row: Mapping[Any, Any]) -> str:
    halves = "none" if row["split"] != row["split"] else f"{100 * row['split']:.0f} %"
    return f"{100 * row['one_sided']:.0f} % one-sided features ({halves} of these halves of split concepts)"


def _read(side: Matrix, rows: np.ndarray, name: str) -> Float[np.ndarray, "n d"]:
    blocks = []
    for start, block in iter_blocks(side, name=name):
        inside = rows[(rows >= start) & (rows < start + block.shape[0])] - start
        taken = block[inside]
        blocks.append(np.asarray(taken.toarray() if hasattr(taken, "toarray") else taken, dtype=np.float64))
    return np.concatenate(blocks)
