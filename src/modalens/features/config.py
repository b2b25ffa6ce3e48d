"""How feature learners are shaped and what their losses weigh."""

import dataclasses
from dataclasses import dataclass
from functools import partial

from modalens.errors import ModalensError
from modalens.features.registry import kinds
from modalens.options import Options, option

# The file of saved features that says what they are.
CONFIG_NAME = "config.json"
STANDARDISATIONS = ("none", "shared", "per_modality")


@dataclass(frozen=True)
class FeatureConfig(Options):
    """What every learner is configured with.

    Attributes
    ----------
    d
        Width of the embeddings.
    n_features
        Number of features.

    Raises
    ------
    ModalensError
        If a value is out of range.
    """

    d: int = option(dataclasses.MISSING, "Width of the embeddings.", least=1)
    n_features: int = option(1024, "Number of features.", least=1)

    @property
    def label(self) -> str:
        """Name of a folder for what this trains."""
        raise NotImplementedError


@dataclass(frozen=True)
class SAEConfig(FeatureConfig):
    """Shape and loss of a sparse autoencoder. The defaults are the published setting.

    Attributes
    ----------
    d, n_features, k
        Width of the embeddings, features, and how many of them a code may have active.
    kind
        ``topk``: the k strongest features of each sample. ``batch_topk``: the k n strongest of a batch of n
        (Bussmann et al. 2024). ``matryoshka``: TopK whose leading features must reconstruct on their own
        (Bussmann et al. 2025). ``aligned``: TopK with a pull between the codes of a pair (Dhimoila et al.
        2026). ``shared_topk``: TopK with one choice of features for both sides of a pair in training (after
        Nasiri-Sarvi et al. 2025). ``group_sparse``: TopK with a penalty on features that one side of a pair has
        alone, and a pre-bias for each modality (Kaushik et al. 2026). ``separate``: a TopK of half the features for
        each modality, trained apart, whose features share an index where they answer to the same pairs (after Lee et
        al. 2026). Baselines: ``frozen_decoder``, ``frozen_encoder`` and ``soft_frozen``, of which a part stays random
        (see :mod:`modalens.features.frozen`), and ``pca``, ``ica`` and ``nmf``, which are fitted, not trained (see
        :mod:`modalens.features.fitted`).
    standardise
        ``none`` (published); ``shared``: subtract one mean and divide by one deviation per dimension;
        ``per_modality``: each modality its own, which removes the offset between the modalities.
    aux_k, aux_coefficient
        How many dead features the auxiliary loss of Gao et al. 2024 may use (half the width by default),
        and its weight.
    dead_after
        Pairs without firing after which a feature counts as dead in training.
    matryoshka_levels
        Number of nested prefixes, each half as long as the next.
    align_lambda
        Weight of the pull of ``aligned``.
    group_lambda, masked
        Weight of the penalty of ``group_sparse``, and the share of features that it masks in a batch.
    match_correlation
        Correlation over pairs from which on features of the two modalities share an index in ``separate``.
    seed
        Seed of the initial values.

    Raises
    ------
    ModalensError
        If a value is out of range.
    """

    k: int = option(32, "Active features of a code.", least=1)
    kind: str = option("topk", "Variant of the autoencoder.", choices=partial(kinds, "sae"))
    standardise: str = option("none", "Standardisation of the embeddings.", choices=STANDARDISATIONS)
    aux_k: int | None = option(
        None, "Dead features that the auxiliary loss may use (default: half the width).", least=0
    )
    aux_coefficient: float = option(1 / 32, "Weight of the auxiliary loss on dead features.", least=0)
    dead_after: int = option(
        20_000, "Pairs without firing after which a feature counts as dead.", unit="pairs", least=1
    )
    matryoshka_levels: int = option(4, "Nested prefixes of the matryoshka autoencoder.", least=1)
    align_lambda: float = option(0.03, "Weight of the aligned autoencoder's pull between codes.", least=0)
    group_lambda: float = option(0.2, "Weight of the group-sparse autoencoder's penalty.", least=0)
    masked: float = option(
        0.1, "Share of features that the group-sparse autoencoder masks in a batch.", least=0, under=1
    )
    match_correlation: float = option(
        0.3,
        "Least correlation over pairs of features that separate autoencoders share an index for.",
        least=0,
        most=1,
    )
    seed: int = option(0, "Seed of the initial values and of the order of the pairs.", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > self.n_features:
            raise ModalensError(
                f"k is {self.k} and n_features {self.n_features}; a code cannot have more active features than exist."
            )
        if self.kind == "separate" and self.k > self.n_features // 2:
            raise ModalensError(
                f"k is {self.k} and n_features {self.n_features}, half of them for each modality; take a k of at most "
                f"{self.n_features // 2}."
            )

    @property
    def label(self) -> str:
        """Name of a folder for what this trains."""
        return f"{self.kind}-n{self.n_features}-k{self.k}-seed{self.seed}"

    @property
    def aux_features(self) -> int:
        """How many dead features the auxiliary loss may use."""
        return max(1, self.d // 2) if self.aux_k is None else self.aux_k

    @property
    def prefixes(self) -> list[int]:
        """Lengths of the nested prefixes that must reconstruct, the whole last."""
        if self.kind != "matryoshka":
            return [self.n_features]
        lengths = {max(1, self.n_features >> level) for level in range(self.matryoshka_levels)}
        return sorted(lengths)


@dataclass(frozen=True)
class NCLConfig(FeatureConfig):
    """Shape and loss of the non-negative contrastive projector.

    Attributes
    ----------
    d, n_features
        Width of the embeddings and of the output.
    temperature
        What similarities are divided by in the loss. The papers do not give theirs.
    normalize
        Whether outputs are scaled to unit length for the loss, as in Wang et al. 2024; the features
        themselves are never scaled.
    seed
        Seed of the initial values.

    Raises
    ------
    ModalensError
        If a value is out of range.
    """

    temperature: float = option(0.07, "What similarities are divided by in the loss.", over=0)
    normalize: bool = option(True, "Scale outputs to unit length for the loss.")
    seed: int = option(0, "Seed of the initial values and of the order of the pairs.", least=0)

    @property
    def label(self) -> str:
        """Name of a folder for what this trains."""
        return f"ncl-n{self.n_features}-seed{self.seed}"
