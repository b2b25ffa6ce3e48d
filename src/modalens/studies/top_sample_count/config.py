"""Options of the study of m."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.statistics.checks import DEFAULT_RANKING, RANKINGS
from modalens.studies.options import rule_option, seed_option

PUBLISHED_M = 20


@dataclass(frozen=True)
class TopMConfig(Options):
    """Which numbers of strongest samples are compared.

    Attributes
    ----------
    m
        Numbers of strongest samples; the published 20 is always among them.
    draws
        Random baselines of each feature.
    by
        What samples are ranked by.
    rule
        Class rule behind fidelity.
    seed
        Of all draws.
    """

    m: tuple[int, ...] = option(
        (5, 10, 20, 30, 40, 50), "Numbers of strongest samples; 20 is added.", unit="samples", least=2
    )
    draws: int = option(3, "Random baselines of each feature.", least=1)
    by: str = option(DEFAULT_RANKING, "What a feature's samples are ranked by.", choices=RANKINGS)
    rule: str = rule_option()
    seed: int = seed_option()

    @property
    def numbers(self) -> list[int]:
        """The numbers in ascending order, with the published one."""
        return sorted({*self.m, PUBLISHED_M})
