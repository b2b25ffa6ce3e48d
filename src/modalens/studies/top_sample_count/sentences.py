"""What the tables of the study of m let one say."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modalens.pairs.modality import many
from modalens.studies.top_sample_count.config import PUBLISHED_M

_METRIC = "mono"
_SAID = {
    "holds": "keeps its sign, decided at every m",
    "turns": "changes its sign with m, decided on both sides",
    "open": "is not decided at every m",
}


def statements(tables: Mapping[str, pd.DataFrame], sides: Sequence[str]) -> list[str]:
    """Whether the ranking holds, every comparison by Mono, and where features have fewer samples than m."""
    by_m, comparisons = tables["by_m"], tables["comparisons"]
    numbers = sorted(by_m["m"].unique())
    span = f"m from {numbers[0]} to {numbers[-1]}"
    said = []
    for side in sides:
        said += _of_ranking(tables["ranking"], side, span)
        for row in comparisons.query("modality == @side and metric == @_METRIC").to_dict("records"):
            if row["value"] == row["value"] and not row["baseline"]:
                said.append(
                    f"Mono on {many(side)}, {row['comparison']}: {row['value']:.3f} ({row['value_low']:.3f} to "
                    f"{row['value_high']:.3f}) at m = {PUBLISHED_M}, {row['least']:.3f} to {row['most']:.3f} over "
                    f"{span}; it {_SAID[row['verdict']]}."
                )
        said += _beside_baselines(comparisons, side)
        full = by_m.query("modality == @side and metric == @_METRIC and quantity == 'mean'")
        short = full[full["m"] == numbers[-1]].query("full < 1").to_dict("records")
        if short:
            told = ", ".join(f"{row['full']:.0%} of {row['features']}" for row in short)
            said.append(
                f"At m = {numbers[-1]} not every feature fires for so many {many(side)} ({told} do); the others are "
                "scored on those they fire for."
            )
    return said


def _of_ranking(ranking: pd.DataFrame, side: str, span: str) -> list[str]:
    if not len(ranking):
        return []
    rows = ranking.query("modality == @side and metric == @_METRIC")
    order = rows.loc[rows["m"] == PUBLISHED_M, "order"].iloc[0]
    others = rows[~rows["same"]]
    decided = "; what is decided of it follows."
    if not len(others):
        return [
            f"By mean Mono on {many(side)} the order of representations is {order} at every m, {span}{decided}"
        ]
    told = "; ".join(f"{row['order']} at m = {row['m']}" for row in others.to_dict("records"))
    start = f"By mean Mono on {many(side)} the order of representations hangs on m"
    return [f"{start}: {order} at {PUBLISHED_M}, {told}{decided}"]


def _beside_baselines(comparisons: pd.DataFrame, side: str) -> list[str]:
    """What features score beside dictionaries of their size that are random in part or not trained, a sentence each."""
    told: dict[str, list[str]] = {}
    rows = comparisons.query("modality == @side and metric == @_METRIC and baseline != ''")
    for row in rows.to_dict("records"):
        own, over, _ = str(row["comparison"]).partition(" over ")
        if over and row["value"] == row["value"]:
            told.setdefault(own, []).append(
                f"{row['value']:.3f} ({row['value_low']:.3f} to {row['value_high']:.3f}) over {row['baseline']}, which "
                f"{_SAID[row['verdict']]}"
            )
    return [
        f"Mono on {many(side)} of {own} beside its dictionary baselines, at m = {PUBLISHED_M}: {'; '.join(parts)}."
        for own, parts in told.items()
    ]
