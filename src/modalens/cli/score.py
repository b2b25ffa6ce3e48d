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
from modalens.runs.import_config import ImportConfig
from modalens.runs.scoring import ScoreConfig, SumsOn


@dataclass(frozen=True)
class Shown(Options):
    """What is printed of the scores; all of them are kept."""

    estimator: str = option(
        DEFAULT_ESTIMATOR, "The estimator to print; all are kept.", choices=lambda: tuple(ESTIMATORS)
    )


@takes(Shown, ScoreConfig, SumsOn, EngineConfig, ImportConfig)
def score(
    data: Annotated[
        Path,
        typer.Argument(
            help="A run, a store, a .npy file of two stacked matrices (2, M, D), image first, or a .json file of a "
            "joined store of three modalities or more."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the scores (default: scores/ in the run; none for a .npy or .json)."),
    ] = None,
    json: Json = False,
    *,
    shown: dict[str, Any],
    config: dict[str, Any],
    on: dict[str, Any],
    engine: dict[str, Any],
    taken: dict[str, Any],
) -> None:
    """Score every feature by the modality that drives it, and measure the gap.

    With --features, a dictionary that another library trained is taken into the run under a name, the pairs are encoded
    with it, and its features are scored beside the embeddings and printed. Of a joined store the codes by these
    features are scored in place of the embeddings.

    --json prints "data" and "scores" (paths), "pairs", "groups" (which are resampled whole), "effective_groups",
    "features", "estimator", "mean", "std", "min", "max" and "std_label_swap" of the scores, "rule" with its
    "counts", "count_intervals" and "cross_in_the_tails", "other_rules" (counts and intervals by every other rule),
    "gap" (value, interval and label_swap of l2m_unbiased, l2m as published, l2i, rmg and separability),
    "modalities", "retrieval", "seed", "resamples", "retried" (parts begun again) and, with --features, "name" (of
    these features in the run). Of a joined store it prints "data", "scores", "samples", "groups", "features",
    "estimator", "rule", "modalities", "missing" (ids left out, by modality), "counts", "count_intervals" and
    "label_turn" (mean counts with labels turned at random), "spread" and "spread_label_turn", and "gaps" (a list of
    "first", "second", "measure", "value", "low", "high", "label_swap").
    """
    from modalens.cli.output import print_json, print_scores, summarise
    from modalens.runs.importing import import_features
    from modalens.runs.layout import RunFolder
    from modalens.runs.learning import measure_learned
    from modalens.runs.scoring import score as score_matrices
    from modalens.runs.scoring import score_into
    from modalens.store.lock import alone_in
    from modalens.store.npy import load_stacked

    how, opened, asked = ScoreConfig(**config), open_engine(**engine), ImportConfig(**taken)
    if data.suffix == ".json":
        _score_joined(data, out, how, shown["estimator"], asked, json)
        return
    if asked.features is not None and (data.suffix == ".npy" or out is not None):
        raise InputError("--features takes a dictionary into a run, so it needs one and goes without --out.")
    run = None if data.suffix == ".npy" else RunFolder.find(data)
    if run is None and (how.groups or how.split):
        raise InputError("A .npy file has no metadata, so --groups and --split do not work on it.")
    if run is None and not opened.in_process:
        raise InputError("A .npy file is scored by this process alone; leave out --engine and --workers.")
    if run is not None:
        out = out or run.scores
        with opened:
            scores = score_into(out, run.store(), how, opened, **on)
            if asked.features is not None:
                learned = import_features(run, asked)
                scores = measure_learned(learned, run.store(), how, opened).scores
                data, out = learned.folder, learned.scores
    else:
        with nullcontext() if out is None else alone_in(out):
            scores = score_matrices(*load_stacked(data), how, source={"file": data.name}, **on)
            if out is not None:
                scores.save(out)
    summary = summarise(scores, shown["estimator"])
    if json:
        where = {"data": str(data), "scores": None if out is None else str(out)}
        named = {} if asked.features is None else {"name": data.name}
        print_json({**where, **summary, "retried": opened.retried, **named})
        return
    print_scores(summary, str(data))
    if out is not None:
        print(f"Scores: {out}")


def _score_joined(
    data: Path, out: Path | None, how: ScoreConfig, estimator: str, asked: ImportConfig, json: bool
) -> None:
    from modalens.cli.output import print_joined, print_json, summarise_joined
    from modalens.features import load_features
    from modalens.runs.joined import score_joined
    from modalens.store import JoinedStore
    from modalens.store.lock import alone_in

    if asked.name is not None:
        raise InputError("A joined store is no run, so features get no name there; leave out --name.")
    features = None if asked.features is None else load_features(asked.features)
    with nullcontext() if out is None else alone_in(out):
        scores = score_joined(JoinedStore.open(data), how, estimator, features)
        title = data.stem if asked.features is None else f"{data.stem}, {asked.features.stem}"
        page = None if out is None else scores.save(out, title)
    summary = summarise_joined(scores)
    if json:
        print_json({"data": str(data), "scores": None if out is None else str(out), **summary})
        return
    print_joined(summary, str(data))
    if page is not None:
        print(f"Report: {page}")
