"""How a sparse autoencoder is shaped and what its loss weighs."""

from dataclasses import dataclass

from modalens.errors import ModalensError

KINDS = ("topk", "batch_topk", "matryoshka", "aligned")
STANDARDISATIONS = ("none", "shared", "per_modality")


@dataclass(frozen=True)
class SAEConfig:
    """Shape and loss of a sparse autoencoder. The defaults are the published setting.

    Attributes
    ----------
    d
        Width of the embeddings.
    n_features, k
        Features, and how many of them a code may have active.
    kind
        ``topk``: the k strongest features of each sample. ``batch_topk``: the k n strongest of a batch of n
        (Bussmann et al. 2024). ``matryoshka``: TopK whose leading features must reconstruct on their own
        (Bussmann et al. 2025). ``aligned``: TopK with a pull between the codes of a pair (Dhimoila et al.
        2026).
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
    seed
        Seed of the initial values.

    Raises
    ------
    ModalensError
        If a value is out of range.
    """

    d: int
    n_features: int = 1024
    k: int = 32
    kind: str = "topk"
    standardise: str = "none"
    aux_k: int | None = None
    aux_coefficient: float = 1 / 32
    dead_after: int = 20_000
    matryoshka_levels: int = 4
    align_lambda: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, KINDS)
        _one_of("standardise", self.standardise, STANDARDISATIONS)
        for name in ("d", "n_features", "k", "dead_after", "matryoshka_levels"):
            if getattr(self, name) < 1:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.k > self.n_features:
            raise ModalensError(
                f"k is {self.k} and n_features {self.n_features}; a code cannot have more active features than exist."
            )
        if self.aux_k is not None and self.aux_k < 0:
            raise ModalensError(f"aux_k is {self.aux_k}; it must be at least 0.")
        for name in ("aux_coefficient", "align_lambda"):
            if not getattr(self, name) >= 0:
                raise ModalensError(f"{name} is {getattr(self, name)}; it must not be negative.")

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


def _one_of(name: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise ModalensError(f"{name} is {value!r}; it must be one of {', '.join(values)}.")
