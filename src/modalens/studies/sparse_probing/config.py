"""Options of the bench of dictionaries."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.studies.options import draws_option, folds_option, pairs_option, rule_option, seed_option


@dataclass(frozen=True)
class DictionaryBenchConfig(Options):
    """Which attributes are probed, and by how many features.

    Attributes
    ----------
    k
        Numbers of features that a sparse probe reads, and that are removed.
    attributes
        Attributes of each column at most, the commonest.
    least
        Groups of pairs that must have an attribute, and as many that must lack it.
    split_gain
        A feature set is taken for split over more features while these raise the held-out accuracy by more than this.
    absorbing
        Part of what the main features usually add to the dense probe's logit that one other feature must add to count
        as absorbing them.
    draws
        Random feature sets, and shuffled labels.
    rule
        Class rule, for the classes of the features that are picked.
    folds
        Parts of the cross-validation.
    max_pairs
        Of more pairs so many are drawn.
    seed
        Of all draws.
    """

    k: tuple[int, ...] = option(
        (1, 2, 3, 5, 10, 20), "Numbers of features that a sparse probe reads.", unit="features", least=1
    )
    attributes: int = option(20, "Most attributes of each column; of more, the commonest.", least=1)
    least: int = option(
        20, "Fewest groups of pairs that have an attribute, and that lack it.", unit="groups", least=2
    )
    split_gain: float = option(
        0.03, "Gain of held-out accuracy that makes one more feature a part of a split.", least=0, under=1
    )
    absorbing: float = option(
        0.4, "Part of the main features' usual contribution that an absorbing feature makes.", over=0
    )
    draws: int = draws_option(10, least=5)
    rule: str = rule_option()
    folds: int = folds_option()
    max_pairs: int = pairs_option(20_000)
    seed: int = seed_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "k", tuple(sorted(set(self.k))) or (1,))


@dataclass(frozen=True)
class DictionaryBenchOnRun(DictionaryBenchConfig):
    """The same on a run.

    Attributes
    ----------
    label
        Metadata columns whose values are the attributes.
    """

    label: tuple[str, ...] = option(
        ("category",), "Metadata column whose values are the attributes; may be repeated."
    )
