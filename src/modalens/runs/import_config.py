"""Which dictionary that was trained elsewhere a run takes in."""

from dataclasses import dataclass
from pathlib import Path

from modalens.errors import InputError
from modalens.options import Options, option


@dataclass(frozen=True)
class ImportConfig(Options):
    """A dictionary that was trained elsewhere.

    Attributes
    ----------
    features
        Its file or folder, as SAELens, dictionary_learning, sae-for-vlm, ViT-Prisma, saev, overcomplete, sparsify or
        modalens wrote it, or a ``modalens.json`` that maps the tensors of a state dictionary.
    name
        Folder of the features in the run.
    """

    features: Path | None = option(
        None, "A dictionary that another library trained: its file or folder (default: none)."
    )
    name: str | None = option(None, "Name of these features in the run (default: made of library and size).")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is not None and self.features is None:
            raise InputError("A name is for features that are taken in; say with --features which.")
