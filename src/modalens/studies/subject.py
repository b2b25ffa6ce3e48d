"""What a study sees of a run: one representation of its pairs, with what was made of it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Int
from PIL import Image

from modalens.arrays import Matrix

if TYPE_CHECKING:  # these bring model libraries, which a list of studies does without
    from modalens.dominance import Dominance
    from modalens.pairs.base import Pairs
    from modalens.store import EmbeddingStore, PairStore
    from modalens.towers.base import VLM


class JudgedSamples(Protocol):
    """The distinct samples of the scored pairs, embedded by models that are not under study.

    Attributes
    ----------
    distinct
        For each side, places within the scored pairs of samples that differ from every earlier one, (u,).
    embeddings
        For each side, their embeddings, (u, h).
    """

    @property
    def distinct(self) -> Mapping[str, Int[np.ndarray, " u"]]: ...  # noqa: D102
    @property
    def embeddings(self) -> Mapping[str, Matrix]: ...  # noqa: D102


class Subject(Protocol):
    """One representation of a run: its embeddings (``raw``) or a set of features learned on them.

    Attributes
    ----------
    name
        ``raw``, or the name of the learned features.
    baseline_of
        Name of the features that this dictionary is a baseline of; empty for others.
    store, embeddings
        Features of every pair; and what they were learned on, None for ``raw``.
    model, directions
        The learned model and its decoder rows (f, d); None where there are none.
    rows
        Rows of the store that are scored, (n,).
    image, text
        Features of the scored pairs, (n, f) each.
    mds
        Their dominance scores.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def baseline_of(self) -> str: ...  # noqa: D102
    @property
    def store(self) -> "PairStore": ...  # noqa: D102
    @property
    def embeddings(self) -> "EmbeddingStore | None": ...  # noqa: D102
    @property
    def model(self) -> Any: ...  # noqa: D102
    @property
    def directions(self) -> Matrix | None: ...  # noqa: D102
    @property
    def rows(self) -> Int[np.ndarray, " n"]: ...  # noqa: D102
    @property
    def image(self) -> Matrix: ...  # noqa: D102
    @property
    def text(self) -> Matrix: ...  # noqa: D102
    @property
    def mds(self) -> "Dominance": ...  # noqa: D102

    def column(self, name: str) -> np.ndarray:
        """A metadata column of the scored pairs, (n,)."""
        ...

    def whole_column(self, name: str) -> np.ndarray:
        """The same for every pair of the store."""
        ...

    def groups(self) -> np.ndarray | None:
        """One label a scored pair, of pairs that are drawn together; None where all are independent."""
        ...

    def all_groups(self) -> np.ndarray | None:
        """The same for every pair of the store."""
        ...

    def pairs(self) -> "Pairs":
        """The pairs, from the source that the store names."""
        ...

    def vlm(self) -> "VLM":
        """The model that embedded them."""
        ...

    def pictures(self, rows: Sequence[int]) -> list[Image.Image | None]:
        """Small pictures of some pairs of the store, by row; None for those that are gone."""
        ...

    def embed_samples(self, embedder: Any, folder: Path) -> np.ndarray:
        """Every pair's image by another model (N, h), kept in a folder."""
        ...

    def judges(self) -> Mapping[str, Any]:
        """The models that said how alike samples are when it was interpreted; refused where it was not."""
        ...

    def judged_samples(self) -> JudgedSamples:
        """The distinct samples, embedded by these models."""
        ...

    def similarity(self) -> Mapping[str, np.ndarray] | None:
        """Mean cosine between each feature's strongest samples, by side, (f,); None if it was not interpreted."""
        ...

    def verdicts(self) -> np.ndarray | None:
        """``private``, ``split``, ``unclear`` or empty for every feature; None if it was not interpreted."""
        ...

    def name_scores(self) -> Mapping[str, np.ndarray] | None:
        """How well the features' names tell held-out samples, by what is scored, (f,); None where there are none."""
        ...

    def retrained(self) -> Iterable[tuple[str, Any]]:
        """Name and model of features learned with the same settings from other seeds."""
        ...

    def beside(self, name: str) -> "Subject":
        """Another representation of the same run."""
        ...

    def siblings(self) -> "Sequence[Subject]":
        """Every other representation of the same run, dictionary baselines too."""
        ...

    def about(self) -> Mapping[str, Any]:
        """What tells it from every other representation."""
        ...
