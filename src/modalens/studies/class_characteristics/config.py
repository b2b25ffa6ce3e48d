"""Options of the study of what the classes differ by."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.studies.options import pairs_option, rule_option, seed_option


@dataclass(frozen=True)
class PropertiesConfig(Options):
    """How features are described and classes are compared.

    Attributes
    ----------
    rule
        Class rule.
    draws
        Random classes of each kind.
    strata
        Parts of about equal size that features are sorted into by how often they fire; random classes with the same
        firing rates hold as many of each.
    bins
        Levels of activity over 0 behind mutual information.
    max_pairs
        Of more pairs so many are drawn.
    seed
        Of all draws.
    """

    rule: str = rule_option()
    draws: int = option(1000, "Random classes of each kind.", unit="classes", least=100)
    strata: int = option(20, "Parts of features that fire about as often.", least=2)
    bins: int = option(4, "Levels of activity behind mutual information.", least=1)
    max_pairs: int = pairs_option(20_000)
    seed: int = seed_option()
