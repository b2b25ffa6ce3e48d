"""Options of the study of known gaps."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.studies.options import pairs_option, seed_option


@dataclass(frozen=True)
class KnownGapConfig(Options):
    """How the gap is closed, and what is measured.

    Attributes
    ----------
    levels
        From the gap as it is to none, so many steps and one.
    resamples
        Of the pairs, for intervals.
    steps, n_features, k
        Batches that an autoencoder of so many features, k of them active, is trained for at four levels of the
        published shift, for the share of split concepts; 0 leaves that out.
    max_pairs
        Of more pairs so many are drawn.
    seed
        Of everything drawn.
    """

    levels: int = option(8, "Steps from the gap as it is to none.", unit="steps", least=3)
    resamples: int = option(200, "Resamples of the pairs, for intervals.", unit="resamples", least=50)
    steps: int = option(
        0,
        "Batches of an autoencoder trained at four levels, for split concepts (0: none).",
        unit="batches",
        least=0,
    )
    n_features: int = option(256, "Features of that autoencoder.", unit="features", least=2)
    k: int = option(4, "How many of them are active in a sample.", least=1)
    max_pairs: int = pairs_option(5_000)
    seed: int = seed_option()
