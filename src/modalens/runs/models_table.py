"""Models side by side: a table with a row for each run."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from modalens.dominance import RULES, Dominance
from modalens.errors import InputError
from modalens.options import DEFAULT_ESTIMATOR
from modalens.runs.layout import RunFolder, names_of
from modalens.runs.scoring import Scores, score_into

_ENDS = ("", "_low", "_high")


def models_table(runs: Sequence[str | PathLike[str]], *, baselines: bool = True) -> pd.DataFrame:
    """One row for each run, and for each of its baselines below it; runs that were not scored are scored first.

    Parameters
    ----------
    runs
        Folders of runs, or stores.
    baselines
        Whether to give a run's baselines, such as an untrained twin, rows of their own.

    Returns
    -------
    DataFrame
        ``run`` and ``baseline_of`` (empty for a run itself), ``model`` and ``layer`` as the store names them (``layer``
        of hidden states, else missing), ``first`` and ``second`` (the modalities), ``pairs`` and ``dimensions``.
        ``l2m`` without what noise adds
        (``l2m_unbiased``), ``rmg`` and ``separability`` with the ends of their 95 % intervals and, as ``rmg_swapped``,
        RMG with modality labels swapped at random; ``mean`` and ``spread`` of R by ``mean_ratio`` and
        ``spread_swapped``; how many dimensions each class has by each rule, such as ``twofold_image``, with ends; and
        ``recall_image_to_text`` and ``recall_text_to_image``, R@1 with their ends, and ``chance``.

    Raises
    ------
    ModalensError
        If there is no run at a path, or it cannot be scored.
    """
    if not runs:
        raise InputError("There is no run to compare; name at least one.")
    rows = []
    folders = [RunFolder.find(Path(path)) for path in runs]
    for name, run in zip(names_of(folders), folders, strict=True):
        rows.append(_row(name, "", run))
        if baselines:
            rows += [_row(kind, name, beside) for kind, beside in run.baselines()]
    return pd.DataFrame(rows)


def _row(name: str, baseline_of: str, run: RunFolder) -> dict[str, Any]:
    store = run.store()
    scores = score_into(run.scores, store)
    card: Mapping[str, Any] = {} if store.manifest is None else store.manifest.model
    found = scores.dominance[DEFAULT_ESTIMATOR]
    if isinstance(found, str):
        raise InputError(f"{run.folder} has no {DEFAULT_ESTIMATOR}: {found}")
    about = {
        "run": name,
        "baseline_of": baseline_of,
        "model": str(card.get("model", "")),
        "layer": card.get("layer"),
        "first": scores.modalities[0],
        "second": scores.modalities[1],
    }
    return {**about, "pairs": found.n_pairs, "dimensions": len(found.score), **dict(_numbers(scores, found))}


def _numbers(scores: Scores, found: Dominance) -> Iterator[tuple[str, float]]:
    gap = scores.gap
    for name, measure in (("l2m", "l2m_unbiased"), ("rmg", "rmg"), ("separability", "separability")):
        yield from _with_ends(name, (getattr(gap, measure), *gap.intervals[measure]))
        if measure == "rmg" and measure in gap.null:
            yield "rmg_swapped", gap.null[measure][0]
    yield "mean", found.mean
    yield "spread", found.std
    if found.null is not None:
        yield "spread_swapped", float(found.null.stds.mean())
    for rule in RULES:
        ranges = found.count_intervals(rule)
        for kind, number in found.counts(rule).items():
            yield f"{rule}_{kind}", number
            if kind in ranges:
                yield from zip((f"{rule}_{kind}_low", f"{rule}_{kind}_high"), ranges[kind], strict=True)
    first, second = scores.modalities
    yield from _with_ends(f"recall_{first}_to_{second}", scores.retrieval.image_to_text[1])
    yield from _with_ends(f"recall_{second}_to_{first}", scores.retrieval.text_to_image[1])
    yield "chance", scores.retrieval.chance[1]


def _with_ends(name: str, values: tuple[float, float, float]) -> Iterator[tuple[str, float]]:
    for end, value in zip(_ENDS, values, strict=True):
        yield f"{name}{end}", float(value)
