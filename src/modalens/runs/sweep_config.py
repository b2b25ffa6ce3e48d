"""Options of a sweep over dictionary sizes."""

from dataclasses import dataclass, fields
from typing import Any

from modalens.errors import InputError
from modalens.features import SAEConfig
from modalens.options import Options, about_of, option

# What of the schedule a sweep decides itself: one order of the pairs, and one evaluation, at the end.
OWN_OPTIONS = ("seed", "log_every", "patience", "tolerance")


def _as_in_training(name: str) -> Any:
    """An option that means what it means where one autoencoder is trained."""
    (field,) = (each for each in fields(SAEConfig) if each.name == name)
    return option(field.default, **vars(about_of(field)))


@dataclass(frozen=True)
class SweepConfig(Options):
    """Which dictionaries are trained, and how they are compared.

    Attributes
    ----------
    n, k, seeds
        Numbers of features, of active features, and of seeds; every combination is trained, but for k over n.
    kind, standardise
        As for one autoencoder.
    split
        Train on pairs whose column ``split`` is this; the others are held out.
    held_out
        Share of the groups of pairs that are held out where no split is named.
    max_pairs
        Classes, verdicts, dead features and Mono are measured on at most so many pairs, of those that are scored.
    match_threshold
        Least cosine of decoder rows for a feature to count as found again.
    least_found
        Share of features that must be found again for a setting to be recommended.
    image_embedder, text_embedder
        What says how alike samples are; as the run was interpreted last where none is given.
    """

    n: tuple[int, ...] = option((128, 256, 512, 1024), "Numbers of features.", least=1)
    k: tuple[int, ...] = option((4, 8, 16, 32), "Numbers of active features of a code.", least=1)
    seeds: int = option(3, "Seeds of every configuration.", least=2)
    kind: str = _as_in_training("kind")
    standardise: str = _as_in_training("standardise")
    split: str | None = option(
        None, "Train on pairs whose column 'split' is this; the others are held out (default: draw some)."
    )
    held_out: float = option(
        0.2, "Share of the groups of pairs to hold out where no split is named.", over=0, under=1
    )
    max_pairs: int = option(
        20_000, "Most pairs to measure on, of those that are scored.", unit="pairs", least=2
    )
    match_threshold: float = option(
        0.7, "Least cosine of decoder rows for a feature to count as found again.", least=-1, most=1
    )
    least_found: float = option(
        0.5, "Share of features that another seed must find for a setting to be recommended.", least=0, most=1
    )
    image_embedder: str | None = option(
        None, "What says how alike images are, for Mono (default: as the run was interpreted last)."
    )
    text_embedder: str | None = option(
        None, "What says how alike texts are, for Mono (default: as the run was interpreted last)."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n", "k"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        if not self.sizes:
            raise InputError("There is nothing to train: give an n that is at least as large as a k.")

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Every (n, k) that there is a dictionary of."""
        parts = 2 if self.kind == "separate" else 1  # each modality has its part of the features
        return [(n, k) for n in self.n for k in self.k if k <= n // parts]
