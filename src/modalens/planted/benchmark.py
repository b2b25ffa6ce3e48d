"""Score every feature learner, estimator and class rule on planted spaces."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from modalens.arrays import Matrix
from modalens.errors import InputError
from modalens.features.registry import kind_named, kinds
from modalens.features.settings import TrainConfig
from modalens.features.trainer import train
from modalens.planted.config import PlantedConfig
from modalens.planted.leaderboard import Leaderboard, Row
from modalens.planted.recovery import attribution, match, recovery, verdicts
from modalens.planted.worlds import WORLDS, Planted, World, plant
from modalens.progress import progress_bar
from modalens.version import __version__

logger = logging.getLogger(__name__)

DIMENSIONS, UNTRAINED = "own dimensions", "untrained topk"
"""What stands beside the learners: the embedding's own dimensions, and an autoencoder before its first step."""
# What must be alike for results to stand in one table.
_SETTING = ("pairs", "held_out", "steps", "batch_size")


def benchmark_planted(
    config: PlantedConfig | None = None, *, out: str | Path | None = None, **options: Any
) -> Leaderboard:
    """Learn features of synthetic joint spaces with every kind of learner, and score them against what was planted.

    Learners are told the number of atoms and of those that fire in a sample as n_features and k, and everything else is
    at its default. Everything is measured on pairs that were held out.

    Parameters
    ----------
    config
        What to run.
    out
        Folder for ``planted.json`` and the tables, ``planted.md``. What it holds already, measured by this version on
        as many pairs and batches, is kept: a run that was stopped goes on, and more learners are added.
    options
        Fields of :class:`modalens.planted.config.PlantedConfig`, which replace what it says.

    Raises
    ------
    ModalensError
        If an option does not fit, or the file in the folder is damaged.
    """
    config = PlantedConfig.of(config, options, "The planted benchmark")
    worlds = {name: WORLDS[name] for name in config.worlds or WORLDS}
    learners = config.learners or kinds()
    seeds = range(config.seed, config.seed + config.seeds)
    names = (*learners, UNTRAINED, DIMENSIONS)
    file = None if out is None else Path(out) / "planted.json"
    known = _known(file, config)

    def board() -> Leaderboard:
        asked = [(world, name, seed) for world in worlds for seed in seeds for name in names]
        return Leaderboard(
            config, tuple(worlds), names, tuple(known[each] for each in asked if each in known)
        )

    with progress_bar("Learning and scoring", len(worlds) * len(seeds) * len(names)) as advance:
        for name, world in worlds.items():
            for seed in seeds:
                missing = tuple(each for each in names if (name, each, seed) not in known)
                advance(len(names) - len(missing))
                if not missing:
                    continue
                planted = plant(world, config.pairs + config.held_out, seed)
                held_out = planted.rows(slice(config.pairs, None))
                for each in _learned(
                    world, planted.rows(slice(config.pairs)), held_out, missing, config, seed
                ):
                    row = Row(name, each.name, seed, _measured(held_out, each, seed))
                    known[name, each.name, seed] = row
                    logger.info("%s, %s, seed %d: %s", name, each.name, seed, row.measures)
                    if file is not None:
                        replace(board(), rows=tuple(known.values())).save(file)
                    advance(1)
    found = board()
    if file is not None:
        found.write_markdown(file.with_suffix(".md"))
    return found


def _known(file: Path | None, config: PlantedConfig) -> dict[tuple[str, str, int], Row]:
    """What a file holds that was measured in the same setting, by space, learner and seed."""
    if file is None or not file.exists():
        return {}
    found = Leaderboard.load(file)
    settings, before = asdict(config), found.to_dict()["config"]
    same = all(before.get(name) == settings[name] for name in _SETTING)
    if not same or found.version != __version__:
        logger.warning("%s was measured in another setting; everything is measured anew", file)
        return {}
    return {(row.world, row.learner, row.seed): row for row in found.rows}


class _Features(NamedTuple):
    """Features of the held-out pairs: codes of both sides, and the decoder where there is one."""

    name: str
    image: Matrix
    text: Matrix
    decoder: np.ndarray | None
    unexplained: float | None


def _learned(
    world: World,
    planted: Planted,
    held_out: Planted,
    learners: tuple[str, ...],
    config: PlantedConfig,
    seed: int,
) -> Iterator[_Features]:
    """What each learner, or baseline, makes of the held-out pairs."""
    for name in learners:
        if name == DIMENSIONS:
            yield _Features(name, held_out.image, held_out.text, np.eye(world.d), None)
        else:
            kind, steps = ("topk", 0) if name == UNTRAINED else (name, config.steps)
            yield _trained(name, kind, world, planted, held_out, config, seed, steps)


def _trained(
    name: str,
    kind: str,
    world: World,
    planted: Planted,
    held_out: Planted,
    config: PlantedConfig,
    seed: int,
    steps: int,
) -> _Features:
    told = {
        "d": world.d,
        "n_features": len(planted.kind),
        "k": max(1, round(world.active * world.kept)),
        "kind": kind,
        "seed": seed,
    }
    found = kind_named(kind).config_class
    built = found(**{field.name: told[field.name] for field in fields(found) if field.name in told})
    sides = planted.image, planted.text
    if steps:
        how = TrainConfig(steps=steps, batch_size=config.batch_size, log_every=steps, seed=seed, device="cpu")
        model = train([built], sides, how)[0].model
    else:
        learner = kind_named(kind).learner_class.for_data(built, *sides)
        learner.initialise(*map(torch.from_numpy, sides))
        model = learner.export()
    codes = [model.encode(side, side_name) for side, side_name in _sides(held_out)]
    if not model.has_decoder:
        return _Features(name, codes[0], codes[1], None, None)
    missed = spread = 0.0
    for (side, side_name), each in zip(_sides(held_out), codes, strict=True):
        missed += float(np.square(side - model.decode(each, side_name), dtype=np.float64).sum())
        spread += float(np.square(side - side.mean(axis=0), dtype=np.float64).sum())
    return _Features(name, codes[0], codes[1], model.W_dec.cpu().numpy().astype(np.float64), missed / spread)


def _sides(planted: Planted) -> list[tuple[np.ndarray, str]]:
    return [(planted.image, "image"), (planted.text, "text")]


def _measured(held_out: Planted, features: _Features, seed: int) -> dict[str, float]:
    codes = features.image, features.text
    matches = match(held_out, *codes)
    if not matches.live.any():
        raise InputError("No planted concept fires often enough in the held-out pairs; take more of them.")
    found = recovery(held_out, matches, features.decoder)
    if features.unexplained is not None:
        found["unexplained"] = features.unexplained
    for (estimator, rule), accuracy in attribution(held_out, matches, *codes).items():
        found[f"attribution {estimator} {rule}"] = accuracy
    return found | verdicts(held_out, matches, *codes, features.decoder, seed)
