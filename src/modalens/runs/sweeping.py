"""Train dictionaries of several sizes and seeds on one pass over a run's pairs, measure them, and recommend one."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.errors import InputError, ModalensError
from modalens.features import FeatureModel, SAEConfig, TrainConfig, load_features, train
from modalens.features.base import MODALITIES as SIDES
from modalens.features.card import read_log
from modalens.features.checkpoints import checkpoint_file, steps_kept
from modalens.features.registry import config_class
from modalens.interpret.matching import cosine_by_chance, find_again
from modalens.interpret.sweep import BASELINE, COLUMNS, OF_BASELINE, Sweep
from modalens.progress import progress_bar
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.interpreting import FOLDER, check_judges
from modalens.runs.layout import REPLACED, RunFolder
from modalens.runs.scoring import ScoreConfig, score_into
from modalens.runs.sweep_config import SweepConfig
from modalens.runs.sweep_measures import MeasuredPairs, groups_of
from modalens.store import EmbeddingStore
from modalens.store.kept import Kept, kept_or_made, read_inputs, set_aside, stable
from modalens.store.lock import alone_in

logger = logging.getLogger(__name__)

_COMMAND = "modalens train sweep"
_TABLE = "sweep.parquet"
_TRAINING = "training"
# One trained model, and what it left unexplained of held-out pairs, by side.
_Trained = tuple[FeatureModel, dict[str, float]]
_NO_JUDGE = (
    "Mono was not measured, as no interpretation of the run says by which models likeness is judged; run modalens "
    "interpret first, or name them with image_embedder and text_embedder."
)


def sweep_run(
    run: RunFolder, config: SweepConfig | None = None, training: TrainConfig | None = None
) -> Sweep:
    """Train every configuration on one pass over the run's pairs, and compare them; what is done is kept.

    Stopped at any time and called again, it goes on where it was and ends with the same numbers.

    Parameters
    ----------
    run
        The run; the result lies in its ``sweep/``.
    config
        Which configurations, and how they are compared.
    training
        How they are trained: ``seed``, ``log_every``, ``patience`` and ``tolerance`` are not used.

    Returns
    -------
    Sweep
        A table, and the recommended configuration.

    Raises
    ------
    ModalensError
        If the run is damaged, no pair would be held out, or training cannot go on.
    """
    config, training = config or SweepConfig(), _schedule(training or TrainConfig())
    store = run.store()
    scoring = score_into(run.scores, store).config
    judges = _judges(run, config, store)
    d = int(store.image.shape[1])
    configs = [*_configurations(config, d), *_baselines(config, d)]
    rows = _rows(store, config, scoring)
    trained_kept = _trained_kept(run, store, configs, training, rows)
    before = trained_kept.recorded_inputs()
    if before is not None and before != stable(trained_kept.all_inputs()):
        with alone_in(run.sweep, "sweeping into"):
            set_aside(run.sweep, run.folder / REPLACED)
    kept = _sweep_kept(run, store, config, training, scoring, judges)

    def make() -> Sweep:
        trained = kept_or_made(
            trained_kept,
            lambda: _load(trained_kept.folder, len(configs)),
            lambda: _train(store, configs, training, rows, trained_kept.folder),
        )
        for step in steps_kept(trained_kept.folder):  # nobody looks at so many models along their training
            checkpoint_file(trained_kept.folder, step).unlink()
        found = _measure(run, store, config, scoring, judges, rows, configs, trained)
        found.save(run.sweep / _TABLE)
        return found

    return kept_or_made(kept, lambda: Sweep.load(run.sweep / _TABLE), make)


def find_sweep(run: RunFolder) -> Sweep | str | None:
    """The sweep in a run, if it is of its embeddings; a sentence where it cannot be used; None where there is none."""
    inputs = read_inputs(run.sweep)
    if inputs is None:
        return None
    try:
        made_from = {name: value for name, value in inputs.items() if name != "modalens"}
        problem = Kept(run.sweep, "the sweep", made_from, _COMMAND, files=(_TABLE,)).problem()
        if problem is not None:
            return problem
        if inputs["embeddings"] != stable(run.store().identity()):
            return f"The sweep in {run.sweep} is of other embeddings; run {_COMMAND} again."
        return Sweep.load(run.sweep / _TABLE)
    except (KeyError, TypeError, ModalensError) as error:
        return f"The sweep in {run.sweep} cannot be read ({error}); run {_COMMAND} again."


def size_for(run: RunFolder | None, learner: str, given: Mapping[str, Any]) -> dict[str, int]:
    """The size of an autoencoder that nobody gave one: what the run's sweep recommends; nothing to go by the defaults.

    What is taken, and why, is said in the log.

    Parameters
    ----------
    run
        Where there may be a sweep.
    learner
        What is trained, as the command line calls it.
    given
        The options that were given, by name.
    """
    if config_class(learner) is not SAEConfig or {"n_features", "k"} & set(given):
        return {}
    kind = given.get("kind", SAEConfig.kind)
    found = None if run is None else find_sweep(run)
    if isinstance(found, Sweep) and found.kind == kind:
        logger.warning("Taking the size that the sweep recommends. %s", found.choice)
        return {"n_features": found.choice.n, "k": found.choice.k}
    if isinstance(found, str):
        logger.warning("%s", found)
    logger.warning(
        "Taking the published size, n_features %d and k %d: no size is given, and there is no sweep over %s features. "
        "On few pairs most features of this size are found by one seed alone; %s RUN recommends a size.",
        SAEConfig.n_features,
        SAEConfig.k,
        kind,
        _COMMAND,
    )
    return {}


def _schedule(training: TrainConfig) -> TrainConfig:
    return replace(training, seed=0, log_every=training.steps, patience=0)


def _configurations(config: SweepConfig, d: int) -> list[SAEConfig]:
    return [
        SAEConfig(d, n, k, config.kind, config.standardise, seed=seed)
        for n, k in config.sizes
        for seed in range(config.seeds)
    ]


def _baselines(config: SweepConfig, d: int) -> list[SAEConfig]:
    """A dictionary of each size whose decoder stays random, which the trained ones are held against."""
    return [SAEConfig(d, n, k, BASELINE, config.standardise) for n, k in config.sizes]


def _rows(
    store: EmbeddingStore, config: SweepConfig, scoring: ScoreConfig
) -> dict[str, Int[np.ndarray, " r"]]:
    """Rows to train on, to hold out, and to measure on."""
    scored = store.rows_of_split(scoring.split)
    if len(scored) > config.max_pairs:
        scored = np.sort(np.random.default_rng((0, 7)).choice(scored, config.max_pairs, replace=False))
    if config.split is not None:
        train_rows = store.rows_of_split(config.split)
        others = np.setdiff1d(np.arange(len(store)), train_rows)
        if not len(others):
            raise InputError(
                f"Every pair is in the split {config.split!r}, so none is held out; name another."
            )
        return {"trained": train_rows, "held_out": others, "measured": scored}
    groups = groups_of(store, scoring)
    numbers = np.arange(len(store)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.random.default_rng((0, 8)).permutation(int(numbers.max()) + 1)
    if len(order) < 2:
        raise InputError(
            "All pairs are of one group, so none can be held out; a sweep needs two groups at least."
        )
    held = np.isin(numbers, order[: min(max(1, round(config.held_out * len(order))), len(order) - 1)])
    return {"trained": np.flatnonzero(~held), "held_out": np.flatnonzero(held), "measured": scored}


def _judges(run: RunFolder, config: SweepConfig, store: EmbeddingStore) -> InterpretConfig | None:
    """Who says how alike samples are: those that are named, else those of the run's last interpretation."""
    named = {
        name: value
        for name in ("image_embedder", "text_embedder")
        if (value := getattr(config, name)) is not None
    }
    for folder in (run.folder, *(each.folder for each in run.all_learned())):
        inputs = read_inputs(folder / FOLDER)
        try:
            if inputs is not None:
                found = InterpretConfig(**{**inputs["config"], **named})
                break
        except (KeyError, TypeError, ModalensError):
            continue
    else:
        if not named:
            return None
        found = InterpretConfig(**named)
    check_judges(found, store.modalities)
    return found.judges(store.modalities)


def _trained_kept(
    run: RunFolder,
    store: EmbeddingStore,
    configs: Sequence[SAEConfig],
    training: TrainConfig,
    rows: dict[str, np.ndarray],
) -> Kept:
    digest = hashlib.sha256(rows["trained"].tobytes() + b"\0" + rows["held_out"].tobytes()).hexdigest()
    inputs = {
        "embeddings": store.identity(),
        "rows_sha256": digest,
        "configuration": [asdict(each) for each in configs],
        "training": training.inputs(configs),
    }
    files = ("model-*/config.json", "model-*/*.safetensors", "log.jsonl")
    return Kept(run.sweep / _TRAINING, "the dictionaries of the sweep", inputs, _COMMAND, files=files)


def _sweep_kept(
    run: RunFolder,
    store: EmbeddingStore,
    config: SweepConfig,
    training: TrainConfig,
    scoring: ScoreConfig,
    judges: InterpretConfig | None,
) -> Kept:
    inputs = {
        "embeddings": store.identity(),
        "config": asdict(config),
        "training": training.inputs(_configurations(config, int(store.image.shape[1]))),
        "baseline": BASELINE,
        "scoring": {"split": scoring.split, "groups": scoring.groups},
        "judges": None if judges is None else asdict(judges),
    }
    return Kept(run.sweep, "the sweep", inputs, _COMMAND, files=(_TABLE,))


def _train(
    store: EmbeddingStore,
    configs: Sequence[SAEConfig],
    training: TrainConfig,
    rows: dict[str, np.ndarray],
    folder: Path,
) -> list[_Trained]:
    data, held_out = (
        (store.image.pick(rows[name]), store.text.pick(rows[name])) for name in ("trained", "held_out")
    )
    train(configs, data, training, held_out=held_out, out=folder)
    return _load(folder, len(configs))


def _load(folder: Path, number: int) -> list[_Trained]:
    last = {entry["learner"]: entry["held_out"] for entry in read_log(folder)}
    found = []
    for place in range(number):
        left = (last[place][f"fvu_{side}"] for side in SIDES)
        unexplained = {
            side: np.nan if value is None else value for side, value in zip(SIDES, left, strict=True)
        }
        found.append((load_features(folder / f"model-{place}"), unexplained))
    return found


def _measure(
    run: RunFolder,
    store: EmbeddingStore,
    config: SweepConfig,
    scoring: ScoreConfig,
    judges: InterpretConfig | None,
    rows: dict[str, np.ndarray],
    configs: Sequence[SAEConfig],
    trained: Sequence[_Trained],
) -> Sweep:
    on = MeasuredPairs.of(run, store, rows["measured"], scoring, judges)
    records, fired = [], []
    with progress_bar("Comparing dictionaries", len(trained)) as advance:
        for each, (model, unexplained) in zip(configs, trained, strict=True):
            record, fires = on.measure(model, each)
            record |= {f"unexplained_{side}": unexplained[side] for side in SIDES}
            record["unexplained"] = float(np.mean(list(unexplained.values())))
            records.append(record)
            fired.append(fires)
            advance(1)
    own = len(config.sizes) * config.seeds
    for place, beside in enumerate(records[own:]):
        first = place * config.seeds
        of_size = slice(first, first + config.seeds)
        decoders = [model.W_dec.numpy() for model, _ in trained[of_size]]
        chance = cosine_by_chance(configs[first].n_features, configs[first].d)
        again = find_again(decoders, fired[of_size], config.match_threshold)
        for record, found in zip(records[of_size], again, strict=True):
            record |= {"found": found.share, "found_weighted": found.weighted, "cosine": found.cosine}
            record["cosine_chance"] = chance
            record |= {f"{name}_{BASELINE}": beside[name] for name in OF_BASELINE}
    return Sweep(
        table=pd.DataFrame(records[:own], columns=list(COLUMNS)),
        least_found=config.least_found,
        kind=config.kind,
        d=configs[0].d,
        pairs={name: len(each) for name, each in rows.items()},
        threshold=config.match_threshold,
        notes=() if judges is not None else (_NO_JUDGE,),
        modalities=store.modalities,
    )
