"""Options of the stability study."""

from dataclasses import dataclass

from modalens.options import DEFAULT_ESTIMATOR, Options, option
from modalens.studies.options import estimator_names, seed_option


@dataclass(frozen=True)
class StabilityConfig(Options):
    """What classes are compared across.

    Attributes
    ----------
    estimator, normalize
        How scores are made (see :func:`modalens.modality_dominance`); what they are compared with is every other
        choice.
    resamples
        Bootstrap samples of the pairs.
    splits
        Random splits of the pairs in two halves.
    match_threshold
        Least cosine of two decoder rows for two features to count as the same.
    seed
        Of all draws.
    """

    estimator: str = option(DEFAULT_ESTIMATOR, "Estimator of dominance.", choices=estimator_names)
    normalize: bool = option(False, "Scale embeddings to unit length before scoring.")
    resamples: int = option(50, "Bootstrap samples of the pairs.", least=1)
    splits: int = option(10, "Random splits of the pairs in two halves.", least=1)
    match_threshold: float = option(
        0.7, "Least cosine of decoder rows for features of two trainings to match.", least=-1, most=1
    )
    seed: int = seed_option()
