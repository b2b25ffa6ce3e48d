"""Options of the removal study."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.studies.options import (
    draws_option,
    folds_option,
    label_option,
    pairs_option,
    rule_option,
    seed_option,
)


@dataclass(frozen=True)
class RemovalConfig(Options):
    """How features are removed and labels are read.

    Attributes
    ----------
    rule
        Class rule of the index sets.
    draws
        Random sets for each class, at least 20.
    curve_draws
        Random sets at each number of the curves of accuracy against removed features; 0 for no curves.
    folds
        Parts of the cross-validation.
    max_pairs
        Of more labelled pairs so many are drawn.
    seed
        Of the splits, the random sets and the bootstrap.
    """

    rule: str = rule_option()
    draws: int = draws_option(20, least=20)
    curve_draws: int = option(
        3, "Random sets at each number of the curves; 0 for none.", unit="sets", least=0
    )
    folds: int = folds_option()
    max_pairs: int = pairs_option(20_000)
    seed: int = seed_option()


@dataclass(frozen=True)
class RemovalOnRun(RemovalConfig):
    """The same on a run.

    Attributes
    ----------
    label
        Metadata column that classifiers read.
    """

    label: str = label_option()
