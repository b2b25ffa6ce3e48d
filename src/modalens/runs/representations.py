"""Everything a run can be seen through: its embeddings, and each set of features learned on them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from modalens.arrays import Matrix
from modalens.dominance import Dominance
from modalens.engine.workers import Engine
from modalens.errors import BusyError, ModalensError
from modalens.runs.choice import OF
from modalens.runs.choice import RAW as RAW
from modalens.runs.inputs import scores_kept
from modalens.runs.layout import RunFolder
from modalens.runs.learning import Learned, load_learned, measure_learned
from modalens.runs.scoring import ScoreConfig, Scores, last_config, score_into
from modalens.store import CodeStore, EmbeddingStore, PairStore

logger = logging.getLogger(__name__)

_ESTIMATOR = "mean_ratio"


@dataclass(frozen=True)
class Representation:
    """One way to describe the pairs of a run by features.

    Attributes
    ----------
    name
        ``raw`` for the embeddings themselves, else the folder of the learned features.
    store
        The features of every pair.
    scores
        Scores of the pairs of ``scores.config.split``.
    folder
        Where what is made of it goes.
    directions
        Decoder rows (f, d), or None for features without a decoder.
    learned, embeddings
        How features were learned, and on what; None for the embeddings themselves.
    """

    name: str
    store: PairStore
    scores: Scores
    folder: Path
    directions: Matrix | None = None
    learned: Learned | None = None
    embeddings: EmbeddingStore | None = None

    @cached_property
    def rows(self) -> Int[np.ndarray, " n"]:
        """Rows of the store that are scored."""
        return self.store.rows_of_split(self.scores.config.split)

    @property
    def baseline_of(self) -> str:
        """The features that this dictionary is a baseline of; empty for others."""
        return self.name.partition(OF)[0] if OF in self.name else ""

    @property
    def run(self) -> RunFolder:
        """The run that it is in."""
        if self.name == RAW:
            return RunFolder(self.folder)
        return RunFolder(self.folder.parents[3 if self.baseline_of else 1])

    @property
    def image(self) -> Matrix:
        """Image features of the scored pairs, (n, f)."""
        return self.store.image.pick(self.rows)

    @property
    def text(self) -> Matrix:
        """Text features of the scored pairs, (n, f)."""
        return self.store.text.pick(self.rows)

    @property
    def mds(self) -> Dominance:
        """Scores by the default estimator."""
        found = self.scores.dominance[_ESTIMATOR]
        if isinstance(found, str):
            raise ModalensError(found)
        return found

    def column(self, name: str) -> np.ndarray:
        """A metadata column of the scored pairs, (n,).

        Raises
        ------
        ModalensError
            If there is no such column.
        """
        values: np.ndarray = self.whole_column(name)[self.rows]
        return values

    def whole_column(self, name: str) -> np.ndarray:
        """The same for every pair of the store, scored or not."""
        return self.store.values(name)

    def groups(self) -> np.ndarray | None:
        """One label a scored pair, of pairs that are drawn together; None where all are independent."""
        everyone = self.all_groups()
        return everyone if everyone is None or len(self.rows) == len(everyone) else everyone[self.rows]

    def all_groups(self) -> np.ndarray | None:
        """The same for every pair of the store, scored or not."""
        name = self.scores.config.groups
        return self.store.image_numbers if name is None else self.store.groups_by(name)

    def about(self) -> Mapping[str, Any]:
        """What tells it from every other representation."""
        manifest = self.store.manifest
        made = {} if manifest is None else {"model": dict(manifest.model), "source": dict(manifest.source)}
        return {**made, "sha256": self.store.digest, "scoring": vars(self.scores.config)}


@dataclass(frozen=True)
class Found:
    """The representations of a run, and those that cannot be used: name and why, in a sentence."""

    representations: list[Representation]
    left_out: list[tuple[str, str]]


def find_representations(
    run: RunFolder,
    config: ScoreConfig | None = None,
    *,
    make: bool = True,
    engine: Engine | None = None,
    device: str | None = None,
) -> Found:
    """The embeddings of a run and all features learned on them, encoded and scored now where that was not done.

    Parameters
    ----------
    run
        The run.
    config
        How scores must have been made; as it was done last by default.
    make
        Whether to encode and score what is missing; otherwise it is left out.
    engine
        Who encodes and scores, as for :func:`modalens.encode_store`; this process by default.
    device
        Where it encodes, see :class:`modalens.runs.encoding.EncodeOn`.

    Raises
    ------
    ModalensError
        If the embeddings are damaged, or cannot be scored in this way.
    """
    store = run.store()
    found = Found([], [])
    config = config or last_config(run.scores) or ScoreConfig()
    if make:
        scores = score_into(run.scores, store, config, engine)
        found.representations.append(Representation(RAW, store, scores, run.folder))
    elif (problem := scores_kept(run.scores, store, config).problem()) is not None:
        found.left_out.append((RAW, problem))
    else:
        found.representations.append(Representation(RAW, store, Scores.load(run.scores), run.folder))
    for where in [each for own in run.begun() for each in (own, *own.baselines())]:
        try:
            learned = (
                measure_learned(where, store, config, engine, device)
                if make
                else load_learned(where, store, config)
            )
        except BusyError:
            raise  # it will be there when the other process is done
        except ModalensError as error:
            found.left_out.append((where.name, str(error)))
            continue
        codes = CodeStore.open(where.codes)
        directions = learned.model.W_dec.numpy() if learned.model.has_decoder else None
        found.representations.append(
            Representation(where.name, codes, learned.scores, where.folder, directions, learned, store)
        )
    return found


def representations(
    run: RunFolder,
    config: ScoreConfig | None = None,
    engine: Engine | None = None,
    device: str | None = None,
) -> list[Representation]:
    """The same without those that cannot be used, which the log names."""
    found = find_representations(run, config, engine=engine, device=device)
    for name, why in found.left_out:
        logger.warning("Left out: %s. %s", name, why)
    return found.representations
