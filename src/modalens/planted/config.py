"""What the planted benchmark runs."""

from dataclasses import dataclass

from modalens.features.registry import kinds
from modalens.options import Options, option
from modalens.planted.worlds import WORLDS


@dataclass(frozen=True)
class PlantedConfig(Options):
    """What the planted benchmark runs.

    Attributes
    ----------
    worlds, learners
        Names of spaces, see :data:`modalens.planted.worlds.WORLDS`, and of kinds of features; all by default.
    seeds, seed
        Number of seeds, each a space and a start of its own, and the first of them.
    pairs, held_out
        Pairs that are learned on, and pairs that everything is measured on.
    steps, batch_size
        As in :class:`modalens.features.TrainConfig`.
    """

    worlds: tuple[str, ...] = option((), "Spaces (default: all).", choices=tuple(WORLDS))
    learners: tuple[str, ...] = option(
        (), "Kinds of features (default: all that are registered).", choices=kinds
    )
    seeds: int = option(1, "Number of seeds; intervals need two.", least=1)
    seed: int = option(0, "First of the seeds.", least=0)
    pairs: int = option(6000, "Pairs that are learned on.", unit="pairs", least=100)
    held_out: int = option(2000, "Pairs that everything is measured on.", unit="pairs", least=100)
    steps: int = option(500, "Budget of batches.", unit="batches", least=1)
    batch_size: int = option(256, "Pairs in a batch.", unit="pairs", least=1)
