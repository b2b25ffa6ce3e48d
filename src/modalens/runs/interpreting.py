"""Interpret the features of a run: strongest samples, monosemanticity, histograms, neighbours and bridges."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int

from modalens.arrays import Matrix, read_rows
from modalens.dominance import Dominance
from modalens.engine.workers import Engine
from modalens.errors import InputError, ModalensError
from modalens.interpret import (
    activation_histograms,
    bridges,
    monosemanticity,
    nearest_features,
    top_samples,
)
from modalens.pairs.modality import OWN
from modalens.runs.along_training import mono_along_training
from modalens.runs.choice import RAW, Scope, all_of
from modalens.runs.inputs import interpretation_kept
from modalens.runs.interpretation import ALONG_COLUMNS, SIDES, Interpretation, InterpretConfig, SampleSets
from modalens.runs.judging import OWN_CARD
from modalens.runs.label_judge import LABELS, label_vectors
from modalens.runs.layout import RunFolder
from modalens.runs.representations import Representation, representations
from modalens.runs.samples import embed_samples, samples_folder, shown_by
from modalens.runs.scoring import score_into
from modalens.statistics.groups import first_of_each, repeated_rows
from modalens.store import PairStore
from modalens.store.columns import PickedRows
from modalens.store.kept import kept_or_made, read_inputs
from modalens.towers.samples import check_sample_embedder, load_sample_embedder

logger = logging.getLogger(__name__)

FOLDER = "interpret"
_NEIGHBOURS = 6
_DIRECTION_PAIRS = 2000


def collect_samples(
    store: PairStore, out: Path, rows: Int[np.ndarray, " n"], config: InterpretConfig
) -> SampleSets:
    """Embed the images and texts of some pairs with the models of the configuration, once for all encoders.

    Raises
    ------
    ModalensError
        If a model cannot be loaded, or the images are no longer there.
    """
    config = config.judges(store.modalities)
    distinct: dict[str, np.ndarray] = {}
    embeddings, cards = {}, {}
    for side, name in (("image", config.image_embedder), ("text", config.text_embedder)):
        here = np.arange(len(rows))
        if str(name).startswith(LABELS):
            found, cards[side] = label_vectors(str(name), store, rows)
            # Samples with the same labels are not the same sample.
            alike = shown_by(store, side, rows)
        else:
            if name == OWN:
                cards[side] = {"model": OWN_CARD}
                found = getattr(store, side).pick(rows)
            else:
                embedder = load_sample_embedder(str(name), side)
                cards[side] = embedder.card()
                here = here if side == "image" else _with_caption(store, rows)
                folder = samples_folder(store, embedder, out, rows[here])
                found = embed_samples(store, embedder, folder, rows[here])
            alike = repeated_rows(found)
        first = first_of_each(alike)
        del alike
        if all(len(each) == len(rows) for each in (first, *distinct.values())):
            first = distinct.get("image", first)  # all rows, as on the other side
        # They stay where they lie, and are read when they are needed.
        embeddings[side] = found[first] if sp.issparse(found) else PickedRows(found, first)
        distinct[side] = first if len(here) == len(rows) else here[first]
    ids = {side: store.ids.pick(rows[distinct[side]]) for side in SIDES}
    return SampleSets(rows, distinct, embeddings, ids, cards)


def check_judges(config: InterpretConfig, modalities: tuple[str, str]) -> None:
    """Refuse models that say how alike samples are, if they are bound to fail, before anything is embedded.

    Raises
    ------
    ModalensError
        If a package that one needs is missing, or there is no such model.
    """
    config = config.judges(modalities)
    judges = (config.image_embedder, config.text_embedder)
    for name, modality in zip(judges, modalities, strict=True):
        if name is not None and name != OWN and not name.startswith(LABELS):
            check_sample_embedder(name, modality)


def _with_caption(store: PairStore, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """Places within ``rows`` of the pairs that have a caption, for models that read one; the others are named.

    Raises
    ------
    ModalensError
        If no pair has one.
    """
    store.require_column("caption")
    labels = store.metadata_shards.iter_labels("caption")
    there = np.fromiter((label is not None for label in labels), bool, len(store))[rows]
    if not there.any():
        raise InputError(
            f"No pair of {store.folder} has a caption; judge texts by the run's own embeddings (--text-embedder own)."
        )
    if not there.all():
        names = ", ".join(store.ids[rows[~there]][:3])
        logger.warning(
            "%d pairs have no caption and are left out where texts are compared: %s%s",
            (~there).sum(),
            names,
            ", ..." if (~there).sum() > 3 else "",
        )
    return np.flatnonzero(there)


def _no_training() -> pd.DataFrame:
    """The metrics along a training that there was not."""
    return pd.DataFrame(columns=list(ALONG_COLUMNS))


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
    along: Callable[[], pd.DataFrame] = _no_training,
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
        One label a pair: samples of one group count once, and pairs of one group are shuffled together.
    along
        Gives the metrics along training, if asked.
    about
        What is interpreted: an earlier interpretation of anything else is made again.
    """
    mds = mds.with_rule(config.rule)
    kept = interpretation_kept(out, about, asdict(config), samples.cards)

    def make() -> Interpretation:
        found = _interpret_features(image, text, mds, samples, directions, config, groups, along)
        found.save(out)
        return found

    return kept_or_made(kept, lambda: Interpretation.load(out, mds, config), make)


def _interpret_features(
    image: Matrix,
    text: Matrix,
    mds: Dominance,
    samples: SampleSets,
    directions: Matrix | None,
    config: InterpretConfig,
    groups: np.ndarray | None,
    along: Callable[[], pd.DataFrame],
) -> Interpretation:
    sides = {"image": image, "text": text}
    top, mono = {}, {}
    for side in SIDES:
        distinct = samples.distinct[side]
        codes = _rows(sides[side], distinct)
        of_samples = np.arange(len(distinct)) if groups is None else groups[distinct]
        top[side] = top_samples(codes, config.m, config.by, groups=of_samples)
        mono[side] = monosemanticity(
            codes,
            samples.embeddings[side],
            config.m,
            config.seed,
            draws=config.draws,
            by=config.by,
            groups=of_samples,
            top=top[side],
        )
    # Without a decoder, features that fire for the same samples count as near.
    towards = directions if directions is not None else _activations_of(image, text)
    return Interpretation(
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


def _activations_of(image: Matrix, text: Matrix) -> Matrix:
    """What each feature does on a sample of the pairs, (f, 2n), to stand for its direction."""
    rows = np.linspace(0, image.shape[0] - 1, min(_DIRECTION_PAIRS, image.shape[0])).astype(np.int64)
    parts = [read_rows(_rows(side, rows), 0, len(rows)).T for side in (image, text)]
    if all(sp.issparse(part) for part in parts):
        return sp.csr_array(sp.hstack(parts, format="csr"))
    return np.concatenate([part.toarray() if sp.issparse(part) else part for part in parts], axis=1)


def _rows(matrix: Matrix, rows: Int[np.ndarray, " u"]) -> Matrix:
    return matrix.pick(rows) if hasattr(matrix, "pick") else matrix[rows]


def interpret_run(
    run: RunFolder,
    config: InterpretConfig | None = None,
    *,
    features: str | None = Scope.features,
    baselines: bool = Scope.baselines,
    baseline_of: RunFolder | None = None,
    engine: Engine | None = None,
    device: str | None = None,
) -> dict[str, Interpretation]:
    """Interpret representations of a run, and of its baselines likewise; what is done is kept.

    Parameters
    ----------
    run
        The run.
    config
        How to interpret.
    features
        The representation to interpret: ``raw`` or the name of a learned set; all of them by default.
    baselines
        Whether to interpret the run's baselines too.
    baseline_of
        The run that this one is a baseline of: it has the same samples, and says how pairs are scored.
    engine
        Who encodes and scores what is missing, as for :func:`modalens.encode_store`; this process by default.
    device
        Where it encodes, see :class:`modalens.runs.encoding.EncodeOn`.

    Returns
    -------
    dict
        The interpretations of the run itself by representation.

    Raises
    ------
    ModalensError
        If the run is damaged or has no such features, a model cannot be loaded or the images are no longer there.
    """
    config = config or InterpretConfig()
    check_judges(config, run.store().modalities)
    parent = run if baseline_of is None else baseline_of
    scoring = None if baseline_of is None else score_into(parent.scores, parent.store()).config
    own = representations(run, scoring, engine, device)
    if baseline_of is None:  # which may lack some of its run's features
        all_of(features, [each.name for each in own if each.name != RAW])
    config = config.judges(own[0].store.modalities)
    samples = collect_samples(own[0].store, parent.samples, own[0].rows, config)
    for name, baseline in run.baselines() if baselines else ():
        logger.info("Baseline %s", name)
        interpret_run(baseline, config, features=features, baseline_of=run, engine=engine, device=device)
    found = {}
    for each in own:
        if features not in (None, each.name):
            continue
        logger.info("Interpreting %s", each.name)
        found[each.name] = _interpret(each, samples, config)
    return found


def find_interpretation(representation: Representation) -> Interpretation | str | None:
    """What :func:`interpret_run` made of a representation, if it was made of it as it is now.

    Returns
    -------
    Interpretation, str or None
        A sentence where the interpretation is of something else, unfinished or damaged; None where there is none.
    """
    folder = representation.folder / FOLDER
    inputs = read_inputs(folder)
    if inputs is None:
        return None
    try:
        config = InterpretConfig(**inputs["config"])
        kept = interpretation_kept(folder, representation.about(), asdict(config), inputs["embedders"])
        if (problem := kept.problem()) is not None:
            return problem
        return Interpretation.load(folder, representation.mds.with_rule(config.rule), config)
    except (KeyError, TypeError, ModalensError, OverflowError) as error:
        return f"The interpretation in {folder} cannot be read ({error}); run modalens interpret again."


def load_interpretation(representation: Representation) -> Interpretation | None:
    """The same, with a line in the log in place of an interpretation that cannot be used."""
    found = find_interpretation(representation)
    if isinstance(found, str):
        logger.warning("%s", found)
        return None
    return found


def _interpret(each: Representation, samples: SampleSets, config: InterpretConfig) -> Interpretation:
    folder = each.folder / FOLDER
    return interpret_features(
        each.image,
        each.text,
        each.mds,
        samples,
        each.directions,
        config,
        folder,
        groups=each.groups(),
        along=_no_training if each.baseline_of else lambda: mono_along_training(each, samples, config),
        about=each.about(),
    )
