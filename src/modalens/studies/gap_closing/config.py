"""Options of the study of closing the gap."""

from dataclasses import dataclass

from modalens.options import Options
from modalens.studies.options import (
    draws_option,
    folds_option,
    label_option,
    pairs_option,
    rule_option,
    seed_option,
)


@dataclass(frozen=True)
class CloseGapConfig(Options):
    """How one-sided features are removed.

    Attributes
    ----------
    rule
        Class rule of the index sets.
    draws
        Random sets of each kind, at least 5; along the curve half as many, and at least 5.
    folds
        Parts of the cross-validation behind zero-shot accuracy.
    max_pairs
        Of more pairs so many are drawn.
    seed
        Of every draw.
    """

    rule: str = rule_option()
    draws: int = draws_option(20, least=5)
    folds: int = folds_option()
    max_pairs: int = pairs_option(5_000)
    seed: int = seed_option()


@dataclass(frozen=True)
class CloseGapOnRun(CloseGapConfig):
    """The same on a run.

    Attributes
    ----------
    label
        Metadata column behind zero-shot accuracy, which is left out where there is no such column.
    """

    label: str = label_option()
