"""Options of the study of language."""

from dataclasses import dataclass

from modalens.options import Options, option
from modalens.studies.options import pairs_option, rule_option, seed_option


@dataclass(frozen=True)
class LanguageConfig(Options):
    """Which captions and words are compared.

    Attributes
    ----------
    rule
        Class rule of the features.
    least
        A word is compared if the captions of so many images have it, and those of as many do not.
    draws
        Permutations of images behind every test.
    max_pairs
        Most pairs to read.
    seed
        Of all draws.
    """

    rule: str = rule_option()
    least: int = option(20, "Fewest images whose captions have a word that is compared.", least=5)
    draws: int = option(5000, "Permutations of images behind every test.", least=100)
    max_pairs: int = pairs_option(20_000)
    seed: int = seed_option()


@dataclass(frozen=True)
class LanguageOnRun(LanguageConfig):
    """The same on a run.

    Attributes
    ----------
    caption
        The metadata column of English captions.
    """

    caption: str = option("caption", "Metadata column of the captions, in English.")
