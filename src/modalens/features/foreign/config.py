"""What dictionaries of other libraries are."""

import dataclasses
from dataclasses import dataclass

from modalens.errors import InputError
from modalens.features.config import FeatureConfig
from modalens.options import option

SELECTIONS = ("topk", "threshold")
SCALINGS = ("none", "layer_norm", "constant_norm")
# What a dictionary is called with a way back to embeddings, and without one.
IMPORTED, ENCODER = "imported", "imported_encoder"


@dataclass(frozen=True, kw_only=True)
class ImportedConfig(FeatureConfig):
    """Shape of a dictionary that another library trained.

    Attributes
    ----------
    d, n_features
        Width of the embeddings, and features.
    library, architecture
        Who wrote it, and what it is called there.
    select
        ``topk``: the k strongest features of each sample. ``threshold``: those over a threshold of their own, which is
        0 for ReLU.
    k
        Active features of a code, for ``topk``.
    scaling
        How each sample is scaled first: ``layer_norm`` subtracts the mean of its dimensions and divides by their
        deviation, ``constant_norm`` gives it the norm sqrt(d). Codes alone do not undo either, so such a dictionary
        has no way back.
    kind
        ``imported``, or ``imported_encoder`` without a way back.

    Raises
    ------
    InputError
        If a value does not fit.
    """

    library: str = option(dataclasses.MISSING, "Who wrote it.")
    architecture: str = option(dataclasses.MISSING, "What it is called there.")
    select: str = option("threshold", "Which features are active.", choices=SELECTIONS)
    k: int | None = option(None, "Active features of a code, for topk.", least=1)
    scaling: str = option("none", "How each sample is scaled first.", choices=SCALINGS)
    kind: str = option(IMPORTED, "Whether there is a way back.", choices=(IMPORTED, ENCODER))

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.select == "topk") != (self.k is not None):
            raise InputError("A dictionary has a k if its k strongest features are active, and only then.")
        if self.k is not None and self.k > self.n_features:
            raise InputError(f"k is {self.k} and there are {self.n_features} features; k cannot be more.")
        if (self.scaling == "none") != (self.kind == IMPORTED):
            raise InputError("A dictionary has a way back exactly if it does not scale each sample.")

    @property
    def label(self) -> str:
        """Name of a folder for it."""
        return f"{self.library}-n{self.n_features}"
