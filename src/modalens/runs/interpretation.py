"""What is known of the features of one representation, and how it lies on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from modalens.arrays import Matrix
from modalens.dominance import RULES, Dominance
from modalens.errors import StoreError
from modalens.interpret import (
    ActivationHistograms,
    Bridges,
    Fidelity,
    Monosemanticity,
    TopSamples,
    measure_fidelity,
)
from modalens.interpret.bridges import LEAST_SHUFFLES
from modalens.options import DEFAULT_RULE, Options, option
from modalens.pairs.modality import MODALITIES, OWN
from modalens.statistics.checks import DEFAULT_RANKING, RANKINGS
from modalens.store.atomic import whole_file
from modalens.store.metadata import PARQUET_DAMAGE
from modalens.store.npy import read_npz
from modalens.store.texts import Texts

SIDES = ("image", "text")
ALONG_COLUMNS = ("step", "modality", "metric", "features", "value", "low", "high", "chance")
_ARRAYS = "arrays.npz"
_ALONG = "along_training.parquet"


@dataclass(frozen=True)
class InterpretConfig(Options):
    """How features are interpreted.

    Attributes
    ----------
    image_embedder, text_embedder
        Models that say how alike samples are (see :func:`modalens.towers.samples.load_sample_embedder`);
        ``labels:COLUMNS``, metadata columns whose agreement is likeness (see
        :func:`modalens.runs.label_judge.label_vectors`); or ``own``: the embeddings of the run itself, for stores
        whose images are not at hand. Features are then judged by what they were made of, which flatters them.
    m, draws
        Strongest samples of each feature, and random baselines.
    by
        What samples are ranked by: ``magnitude`` counts values under 0 as the scores do.
    rule
        Class rule behind bridges and galleries. ``twofold`` means the same on every model, so that encoders
        can be held against each other.
    shuffles
        Shuffles of the pairs behind the verdicts.
    seed
        Seed of every draw.
    """

    image_embedder: str | None = option(
        None,
        "Model that says how alike images are: efficientnet-lite0, a hub id or vlm:NAME; labels:COLUMN,COLUMN to go by "
        "shared labels; or own, where no images are at hand: the run's embeddings (default: efficientnet-lite0 for "
        "images, own for sounds).",
    )
    text_embedder: str | None = option(
        None,
        "Model that says how alike texts are: minilm, a hub id, vlm:NAME, labels:COLUMNS or own (default: minilm).",
    )
    m: int = option(20, "Strongest samples of each feature.", unit="samples", least=2)
    draws: int = option(5, "Random baselines of each feature.", least=1)
    by: str = option(DEFAULT_RANKING, "What a feature's samples are ranked by.", choices=RANKINGS)
    rule: str = option(DEFAULT_RULE, "Class rule behind verdicts and galleries.", choices=tuple(RULES))
    shuffles: int = option(200, "Shuffles of the pairs behind the verdicts.", least=LEAST_SHUFFLES)
    seed: int = option(0, "Seed of every draw.", least=0)

    def judges(self, modalities: tuple[str, str]) -> "InterpretConfig":
        """The same with a judge named for each side: that of its modality where none is given, else ``own``."""
        first, second = (MODALITIES[name].judge if name in MODALITIES else OWN for name in modalities)
        return replace(
            self, image_embedder=self.image_embedder or first, text_embedder=self.text_embedder or second
        )


@dataclass(frozen=True)
class SampleSets:
    """The distinct images and texts of the pairs that are scored.

    Attributes
    ----------
    rows
        Rows of the store that are scored, (n,).
    distinct
        For each side, places within ``rows`` of samples that differ from every earlier one, (u,): the same
        picture under two names would count as two alike samples.
    embeddings
        For each side, their embeddings by a model that is not under study, (u, h), read when they are sliced.
    ids
        For each side, the ids of their pairs, (u,).
    cards
        For each side, the model that embedded them.
    """

    rows: Int[np.ndarray, " n"]
    distinct: Mapping[str, Int[np.ndarray, " u"]]
    embeddings: Mapping[str, Matrix]
    ids: Mapping[str, Texts]
    cards: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Interpretation:
    """What is known of the features of one representation.

    Attributes
    ----------
    ids
        For each side, the pair ids of the samples that ``top`` counts, (u,).
    top, mono
        For each side, the strongest samples and how alike they are.
    histograms, neighbours
        Activations in bins; the nearest features and their cosines, both (f, k).
    bridges
        Partners and verdicts of one-sided features.
    mds
        The scores behind it, under the rule of the configuration.
    config
        How it was made.
    along
        Mean EmbSim, WinRate and Mono over features at each checkpoint of the training: columns ``step``,
        ``modality``, ``metric``, ``features``, ``value``, ``low`` and ``high`` (95 % over samples) and ``chance``; no
        rows where nothing was trained.
    """

    ids: Mapping[str, Texts]
    top: Mapping[str, TopSamples]
    mono: Mapping[str, Monosemanticity]
    histograms: ActivationHistograms
    neighbours: tuple[Int[np.ndarray, "f k"], Float[np.ndarray, "f k"]]
    bridges: Bridges
    mds: Dominance
    config: InterpretConfig
    along: pd.DataFrame

    @cached_property
    def fidelity(self) -> Fidelity:
        """Averages by class, and whether a modality's own features mean more in it."""
        return measure_fidelity(self.mono["image"], self.mono["text"], self.mds, seed=self.config.seed)

    def save(self, folder: Path) -> None:
        """Write what :meth:`load` reads."""
        for side in SIDES:
            self.mono[side].save(folder / f"monosemanticity-{side}.parquet")
        self.bridges.save(folder / "bridges.parquet")
        with whole_file(folder / _ALONG) as partial:
            self.along.to_parquet(partial, index=False)
        arrays: dict[str, np.ndarray] = {"near": self.neighbours[0], "cosine": self.neighbours[1]}
        for side in SIDES:
            arrays |= {f"{side}_ids": self.ids[side].data, f"{side}_ids_ends": self.ids[side].ends}
            for name in ("rows", "values", "fired", "constant"):
                arrays[f"{side}_{name}"] = getattr(self.top[side], name)
        for name in ("edges", "image", "text", "image_zeros", "text_zeros"):
            arrays[f"histogram_{name}"] = getattr(self.histograms, name)
        with whole_file(folder / _ARRAYS) as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, folder: Path, mds: Dominance, config: InterpretConfig) -> "Interpretation":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If it is missing or damaged.
        """
        found = read_arrays(folder / _ARRAYS)
        try:
            top = {
                side: TopSamples(
                    **{name: found[f"{side}_{name}"] for name in ("rows", "values", "fired", "constant")},
                    by=config.by,
                )
                for side in SIDES
            }
            histograms = ActivationHistograms(
                **{
                    name: found[f"histogram_{name}"]
                    for name in ("edges", "image", "text", "image_zeros", "text_zeros")
                }
            )
            ids = {side: Texts(found[f"{side}_ids"], found[f"{side}_ids_ends"]) for side in SIDES}
            neighbours = (found["near"], found["cosine"])
            along = pq.ParquetFile(folder / _ALONG).read(columns=list(ALONG_COLUMNS)).to_pandas()
        except PARQUET_DAMAGE as error:
            said = " ".join(str(error).split())[:200]
            raise StoreError(
                f"The interpretation in {folder} cannot be read ({said}); remove it and interpret again."
            ) from error
        mono = {side: Monosemanticity.load(folder / f"monosemanticity-{side}.parquet") for side in SIDES}
        linked = Bridges.load(folder / "bridges.parquet")
        return cls(ids, top, mono, histograms, neighbours, linked, mds, config, along)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an interpretation, by name.

    Raises
    ------
    ModalensError
        If the file is missing or damaged.
    """
    return read_npz(path, "remove the interpretation and interpret again")
