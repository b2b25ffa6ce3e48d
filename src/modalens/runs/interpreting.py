"""Interpret the features of a run: strongest samples, monosemanticity, histograms, neighbours and bridges."""

import json
import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int

from modalens.arrays import Matrix, read_rows
from modalens.dominance import Dominance
from modalens.errors import ModalensError
from modalens.interpret import (
    ActivationHistograms,
    Bridges,
    Fidelity,
    Monosemanticity,
    TopSamples,
    activation_histograms,
    bridges,
    measure_fidelity,
    monosemanticity,
    nearest_features,
    top_samples,
)
from modalens.runs.along_training import mono_along_training
from modalens.runs.layout import RunFolder
from modalens.runs.representations import Representation, representations, scores_of
from modalens.runs.samples import embed_samples
from modalens.store import PairStore
from modalens.store.atomic import whole_file
from modalens.store.documents import read_document, write_document
from modalens.store.lock import alone_in
from modalens.towers.samples import load_sample_embedder
from modalens.version import __version__

logger = logging.getLogger(__name__)

SIDES = ("image", "text")
OWN = "own"
_KIND = "modalens interpretation"
_SCHEMA_VERSION = 1
_SUMMARY = "interpretation.json"
_ARRAYS = "arrays.npz"
_ALONG = "along_training.parquet"
_FOLDER = "interpret"
_NEIGHBOURS = 6
_DIRECTION_PAIRS = 2000


@dataclass(frozen=True)
class InterpretConfig:
    """How features are interpreted.

    Attributes
    ----------
    image_embedder, text_embedder
        Models that say how alike samples are (see :func:`modalens.towers.samples.load_sample_embedder`), or ``own``:
        the embeddings of the run itself, for stores whose images are not at hand. Features are then judged by what
        they were made of, which flatters them.
    m, draws
        Strongest samples of each feature, and random baselines.
    rule
        Class rule behind bridges and galleries. ``twofold`` means the same on every model, so that encoders
        can be held against each other.
    shuffles
        Shuffles of the pairs behind the verdicts.
    seed
        Seed of every draw.
    """

    image_embedder: str = "efficientnet-lite0"
    text_embedder: str = "minilm"
    m: int = 20
    draws: int = 5
    rule: str = "twofold"
    shuffles: int = 200
    seed: int = 0


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
        For each side, their embeddings by a model that is not under study, (u, h).
    ids
        For each side, the ids of their pairs, (u,).
    cards
        For each side, the model that embedded them.
    """

    rows: Int[np.ndarray, " n"]
    distinct: Mapping[str, Int[np.ndarray, " u"]]
    embeddings: Mapping[str, Float[np.ndarray, "u h"]]
    ids: Mapping[str, np.ndarray]
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
        Mean Mono over features at each checkpoint of the training: columns ``step``, ``modality``, ``features``,
        ``mono``, ``low`` and ``high`` (95 % over features) and ``chance``; no rows where nothing was trained.
    """

    ids: Mapping[str, np.ndarray]
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

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Write what :meth:`load` reads; the summary comes last, so that it vouches for the rest."""
        (folder / _SUMMARY).unlink(missing_ok=True)  # an earlier one vouches for other files
        for side in SIDES:
            self.mono[side].save(folder / f"monosemanticity-{side}.parquet")
        self.bridges.save(folder / "bridges.parquet")
        with whole_file(folder / _ALONG) as partial:
            self.along.to_parquet(partial, index=False)
        arrays: dict[str, np.ndarray] = {"near": self.neighbours[0], "cosine": self.neighbours[1]}
        for side in SIDES:
            arrays[f"{side}_ids"] = self.ids[side].astype(str)
            for name in ("rows", "values", "fired", "constant"):
                arrays[f"{side}_{name}"] = getattr(self.top[side], name)
        for name in ("edges", "image", "text", "image_zeros", "text_zeros"):
            arrays[f"histogram_{name}"] = getattr(self.histograms, name)
        with whole_file(folder / _ARRAYS) as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        write_document(folder / _SUMMARY, _KIND, _SCHEMA_VERSION, {"about": dict(about)})

    @classmethod
    def load(cls, folder: Path, mds: Dominance, config: InterpretConfig) -> "Interpretation":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ModalensError
            If it is missing or damaged.
        """
        try:
            with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
            top = {
                side: TopSamples(
                    **{name: found[f"{side}_{name}"] for name in ("rows", "values", "fired", "constant")},
                    by="value",
                )
                for side in SIDES
            }
            histograms = ActivationHistograms(
                **{
                    name: found[f"histogram_{name}"]
                    for name in ("edges", "image", "text", "image_zeros", "text_zeros")
                }
            )
            ids = {side: found[f"{side}_ids"].astype(object) for side in SIDES}
            neighbours = (found["near"], found["cosine"])
            along = pd.read_parquet(folder / _ALONG)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise ModalensError(
                f"The interpretation in {folder} cannot be read ({error}); remove it and interpret again."
            ) from error
        mono = {side: Monosemanticity.load(folder / f"monosemanticity-{side}.parquet") for side in SIDES}
        linked = Bridges.load(folder / "bridges.parquet")
        return cls(ids, top, mono, histograms, neighbours, linked, mds, config, along)


def collect_samples(
    store: PairStore, out: Path, rows: Int[np.ndarray, " n"], config: InterpretConfig
) -> SampleSets:
    """Embed the images and texts of some pairs with the models of the configuration, once for all encoders.

    Raises
    ------
    ModalensError
        If a model cannot be loaded, or the images are no longer there.
    """
    distinct, embeddings, cards = {}, {}, {}
    for side, name in (("image", config.image_embedder), ("text", config.text_embedder)):
        if name == OWN:
            cards[side] = {"model": "the embeddings under study"}
            found = np.asarray(getattr(store, side).pick(rows)[:], dtype=np.float32)
        else:
            embedder = load_sample_embedder(name, side)
            cards[side] = embedder.card()
            found = embed_samples(store, embedder, out, rows)
        seen: dict[bytes, int] = {}
        for place, row in enumerate(found):
            seen.setdefault(row.tobytes(), place)
        distinct[side] = np.fromiter(seen.values(), dtype=np.int64)
        embeddings[side] = found[distinct[side]]
    ids = {side: store.ids[rows[distinct[side]]] for side in SIDES}
    return SampleSets(rows, distinct, embeddings, ids, cards)


def interpret_features(
    image: Matrix,
    text: Matrix,
    mds: Dominance,
    samples: SampleSets,
    directions: Matrix | None,
    config: InterpretConfig,
    out: Path,
    *,
    groups: np.ndarray | None = None,
    along: Callable[[], pd.DataFrame] = pd.DataFrame,
    about: Mapping[str, Any],
) -> Interpretation:
    """Interpret the features of one representation; what an earlier call made of the same is kept.

    Parameters
    ----------
    image, text
        Features of the scored pairs, (n, f), dense or sparse.
    mds
        Their dominance scores.
    samples
        The pairs' distinct images and texts.
    directions
        Decoder rows (f, d), or None for features without a decoder.
    config
        How to interpret.
    out
        Folder of the interpretation.
    groups
        One label a pair: pairs of one group are shuffled together behind the verdicts.
    along
        Gives Mono along training, if asked.
    about
        What is interpreted: an earlier interpretation of anything else is made again.
    """
    mds = mds.with_rule(config.rule)
    about = {
        "modalens": __version__,
        "config": asdict(config),
        "embedders": {side: dict(samples.cards[side]) for side in SIDES},
        "of": dict(about),
    }
    about = json.loads(json.dumps(about))  # as a file gives it back
    if _is_kept(out, about):
        return Interpretation.load(out, mds, config)
    sides = {"image": image, "text": text}
    top, mono = {}, {}
    for side in SIDES:
        codes = _rows(sides[side], samples.distinct[side])
        top[side] = top_samples(codes, config.m)
        mono[side] = monosemanticity(
            codes, samples.embeddings[side], config.m, config.seed, draws=config.draws, top=top[side]
        )
    # Without a decoder, features that fire for the same samples count as near.
    towards = directions if directions is not None else _activations_of(image, text)
    found = Interpretation(
        ids=samples.ids,
        top=top,
        mono=mono,
        histograms=activation_histograms(image, text),
        neighbours=nearest_features(towards, _NEIGHBOURS),
        bridges=bridges(image, text, directions, mds, config.seed, shuffles=config.shuffles, groups=groups),
        mds=mds,
        config=config,
        along=along(),
    )
    found.save(out, about)
    return found


def _activations_of(image: Matrix, text: Matrix) -> Matrix:
    """What each feature does on a sample of the pairs, (f, 2n), to stand for its direction."""
    rows = np.linspace(0, image.shape[0] - 1, min(_DIRECTION_PAIRS, image.shape[0])).astype(np.int64)
    parts = [read_rows(_rows(side, rows), 0, len(rows)).T for side in (image, text)]
    if all(sp.issparse(part) for part in parts):
        return sp.csr_array(sp.hstack(parts, format="csr"))
    return np.concatenate([part.toarray() if sp.issparse(part) else part for part in parts], axis=1)


def _is_kept(folder: Path, about: Mapping[str, Any]) -> bool:
    path = folder / _SUMMARY
    return path.exists() and read_document(path, _KIND, _SCHEMA_VERSION).get("about") == about


def _rows(matrix: Matrix, rows: Int[np.ndarray, " u"]) -> Matrix:
    return matrix.pick(rows) if hasattr(matrix, "pick") else matrix[rows]


def interpret_run(
    run: RunFolder,
    config: InterpretConfig | None = None,
    *,
    baselines: bool = True,
    baseline_of: RunFolder | None = None,
) -> dict[str, Interpretation]:
    """Interpret every representation of a run, and of its baselines likewise; what is done is kept.

    Parameters
    ----------
    run
        The run.
    config
        How to interpret.
    baselines
        Whether to interpret the run's baselines too.
    baseline_of
        The run that this one is a baseline of: it has the same samples, and says how pairs are scored.

    Returns
    -------
    dict
        The interpretations of the run itself by representation.

    Raises
    ------
    ModalensError
        If the run is damaged, a model cannot be loaded or the images are no longer there.
    """
    config = config or InterpretConfig()
    parent = run if baseline_of is None else baseline_of
    scoring = None if baseline_of is None else scores_of(parent, parent.store()).config
    own = representations(run, scoring)
    samples = collect_samples(own[0].store, parent.samples, own[0].rows, config)
    for name, baseline in run.baselines() if baselines else ():
        logger.info("Baseline %s", name)
        interpret_run(baseline, config, baseline_of=run)
    found = {}
    for each in own:
        logger.info("Interpreting %s", each.name)
        found[each.name] = _interpret(each, samples, config)
    return found


def load_interpretation(representation: Representation) -> Interpretation | None:
    """What :func:`interpret_run` made of a representation; None if it was not interpreted as it is now."""
    folder = representation.folder / _FOLDER
    if not (folder / _SUMMARY).exists():
        return None
    document = read_document(folder / _SUMMARY, _KIND, _SCHEMA_VERSION)
    try:
        about, config = document["about"]["of"], InterpretConfig(**document["about"]["config"])
    except (KeyError, TypeError) as error:
        raise ModalensError(f"{folder / _SUMMARY} is damaged ({error!r}); interpret again.") from error
    if about != json.loads(json.dumps(dict(representation.about()))):
        return None
    return Interpretation.load(folder, representation.mds.with_rule(config.rule), config)


def _interpret(each: Representation, samples: SampleSets, config: InterpretConfig) -> Interpretation:
    folder = each.folder / _FOLDER
    with alone_in(folder):
        return interpret_features(
            each.image,
            each.text,
            each.mds,
            samples,
            each.directions,
            config,
            folder,
            groups=each.groups(),
            along=lambda: mono_along_training(each, samples, config),
            about=each.about(),
        )
