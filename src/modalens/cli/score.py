"""``modalens score``."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from modalens.cli.options import Json, takes
from modalens.dominance import ESTIMATORS
from modalens.engine.engines import EngineConfig, open_engine
from modalens.errors import InputError
from modalens.options import DEFAULT_ESTIMATOR, Options, option
from modalens.runs.scoring import ScoreConfig


@dataclass(frozen=True)
class Shown(Options):
    """What is printed of the scores; all of them are kept."""

    estimator: str = option(
        DEFAULT_ESTIMATOR, "The estimator to print; all are kept.", choices=lambda: tuple(ESTIMATORS)
    )


@takes(Shown, ScoreConfig, EngineConfig)
def score(
    data: Annotated[
        Path,
        typer.Argument(help="A run, a store, or a .npy file of two stacked matrices (2, M, D), image first."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the scores (default: scores/ in the run; none for a .npy).")
    ] = None,
    json: Json = False,
    *,
    shown: dict[str, Any],
    config: dict[str, Any],
    engine: dict[str, Any],
) -> None:
    """Score every feature by the modality that drives it, and measure the gap.

    --json prints "data" and "scores" (paths), "pairs", "groups" (which are resampled whole), "effective_groups",
    "features", "estimator", "mean", "std", "min", "max" and "std_label_swap" of the scores, "rule" with its "counts",
    "count_intervals" and "cross_in_the_tails", "other_rules" (counts and intervals by every other rule), "gap"
    (value, interval and label_swap of l2m_unbiased, l2m as published, l2i, rmg and separability), "modalities",
    "retrieval", "seed", "resamples" and "retried" (parts begun again).
    """
    from modalens.cli.output import print_json, print_scores, summarise
    from modalens.runs.layout import RunFolder
    from modalens.runs.scoring import load_stacked, score_into
    from modalens.runs.scoring import score as score_matrices
    from modalens.store.lock import alone_in

    how, opened = ScoreConfig(**config), open_engine(**engine)
    run = None if data.suffix == ".npy" else RunFolder.find(data)
    if run is None and (how.groups or how.split):
        raise InputError("A .npy file has no metadata, so --groups and --split do not work on it.")
    if run is None and not opened.in_process:
        raise InputError("A .npy file is scored by this process alone; leave out --engine and --workers.")
    if run is not None:
        out = out or run.scores
        with opened:
            scores = score_into(out, run.store(), how, opened)
    else:
        with nullcontext() if out is None else alone_in(out):
            scores = score_matrices(*load_stacked(data), how, source={"file": data.name})
            if out is not None:
                scores.save(out)
    summary = summarise(scores, shown["estimator"])
    if json:
        where = {"data": str(data), "scores": None if out is None else str(out)}
        print_json({**where, **summary, "retried": opened.retried})
        return
    print_scores(summary, str(data))
    if out is not None:
        print(f"Scores: {out}")
