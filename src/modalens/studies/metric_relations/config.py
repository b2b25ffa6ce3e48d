"""Options of the study of metrics."""

from dataclasses import dataclass
from pathlib import Path

from modalens.options import Options, option
from modalens.statistics.checks import DEFAULT_RANKING, RANKINGS
from modalens.studies.options import pairs_option, rule_option, seed_option


@dataclass(frozen=True)
class MetricsConfig(Options):
    """How features are measured and metrics compared.

    Attributes
    ----------
    m
        Strongest samples behind Mono, clarity and redundancy.
    by
        What samples are ranked by.
    resamples
        Resamples of features, and of pairs, behind every interval.
    rule
        Class rule of the features.
    max_pairs
        Most pairs behind the Shapley share.
    seed
        Of all draws.
    """

    m: int = option(20, "Strongest samples of Mono, clarity and redundancy.", unit="samples", least=2)
    by: str = option(DEFAULT_RANKING, "What a feature's samples are ranked by.", choices=RANKINGS)
    resamples: int = option(500, "Resamples behind each interval.", least=100)
    rule: str = rule_option()
    max_pairs: int = pairs_option(20_000)
    seed: int = seed_option()


@dataclass(frozen=True)
class MetricsOnRun(MetricsConfig):
    """The same on a run.

    Attributes
    ----------
    answers
        What raters saved from the page of ``modalens annotate``.
    key
        The ``key.json`` beside that page.
    """

    answers: tuple[Path, ...] = option(
        (), "File that a rater saved from an annotation page; may be repeated."
    )
    key: Path | None = option(None, "The key.json beside that page.")
