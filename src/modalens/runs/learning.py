"""Learn features on a run's embeddings, encode its pairs with them, and score the codes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from modalens.arrays import Matrix
from modalens.engine.workers import Engine
from modalens.errors import InputError, StoreError
from modalens.features import FeatureModel, TrainConfig, distributed, load_features, train
from modalens.features.card import read_log
from modalens.features.checkpoints import latest_step
from modalens.features.config import FeatureConfig
from modalens.features.logs import TRACKERS
from modalens.features.quality import Quality, measure_quality
from modalens.features.registry import config_class, kind_of
from modalens.features.trainer import PairData, Trained
from modalens.options import Options, option
from modalens.runs.choice import OF, RAW
from modalens.runs.encoding import encode_store
from modalens.runs.inputs import codes_kept, features_kept, quality_kept, scores_kept
from modalens.runs.layout import REPLACED, LearnedFeatures, RunFolder
from modalens.runs.scoring import ScoreConfig, Scores, score_into
from modalens.store import CodeStore, EmbeddingStore
from modalens.store.documents import read_document, write_document
from modalens.store.kept import Kept, is_finished, kept_or_made, read_inputs, set_aside, stable
from modalens.store.lock import alone_in
from modalens.towers.compute import pick_device
from modalens.version import __version__

_KIND = "modalens feature quality"
_SCHEMA_VERSION = 2
ALL = "all"


@dataclass(frozen=True)
class Learned:
    """Learned features with all that was measured of them.

    Attributes
    ----------
    model
        The autoencoder or projector.
    scores
        Dominance, gap and retrieval of the codes.
    quality
        Reconstruction and retrieval, by split of the pairs (``all`` where there are no splits).
    log
        Evaluations of the training, oldest first.
    """

    model: FeatureModel
    scores: Scores
    quality: Mapping[str, Quality]
    log: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class LearnConfig(Options):
    """Which pairs of a run are learned from, and what the features are called.

    Attributes
    ----------
    split
        Train on pairs whose column ``split`` is this; the others are held out.
    name
        Folder of the features in the run.
    tracker
        Where the log goes too.
    """

    split: str | None = option(
        None, "Train on pairs whose column 'split' is this; the others are held out (default: train on all)."
    )
    name: str | None = option(None, "Name of the features (default: made of their settings).")
    tracker: tuple[str, ...] = option((), "Where the log goes too; may be repeated.", choices=TRACKERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is not None:
            check_name(self.name)


def check_name(name: str) -> None:
    """Refuse a name of features that is no name of a folder, or means something else in a run.

    Raises
    ------
    InputError
        If it is one.
    """
    plain = name.isprintable() and name == name.strip() and Path(name).name == name
    if not plain or OF in name or name in (RAW, REPLACED, ".."):
        raise InputError(
            f"{name!r} cannot name features; give a plain name without {OF}, other than {RAW} and {REPLACED}."
        )


def train_on(
    config: FeatureConfig,
    data: PairData,
    training: TrainConfig,
    out: Path,
    *,
    split: str | None = None,
    trackers: Sequence[str] = (),
) -> Trained:
    """Train on paired data, or on one split of a store while its other pairs are held out.

    Features that were learned there from other pairs or with other settings are set aside first, with all that was
    made from them: nothing that belongs to one model is taken for another's.

    Raises
    ------
    ModalensError
        If there is no such split, or training cannot go on (see :func:`modalens.features.train`).
    """
    kept = features_kept(out, data, [config], training, split, kind_of(config).command)
    held_out: PairData | None = None
    if split is not None:
        if not isinstance(data, EmbeddingStore):
            raise InputError(
                "Only a store of pairs has metadata, so there is no split to train on; leave out split."
            )
        rows = data.rows_of_split(split)
        others = np.setdiff1d(np.arange(len(data)), rows)
        held_out = _picked(data, others) if len(others) else None
        data = _picked(data, rows)
    with ExitStack() as held:
        if distributed.rank() == 0:
            _make_way(kept)
            held.enter_context(alone_in(out, "training into"))
            if kept.problem() is not None:
                kept.begin()
        distributed.wait()
        (trained,) = train([config], data, training, held_out=held_out, out=out, trackers=trackers)
        if distributed.rank() == 0:
            kept.finish()
    return trained


def _make_way(kept: Kept) -> None:
    """Set aside the features of a folder that were not made from these inputs."""
    if not kept.folder.is_dir():
        return
    before = kept.recorded_inputs()
    if before is None:
        # Trained without a record: its checkpoints say what they are of; without them nothing does.
        other = (kept.folder / "config.json").exists() and latest_step(kept.folder) is None
    else:
        other = before != stable(kept.all_inputs())
    if other:
        with alone_in(kept.folder, "training into"):
            set_aside(kept.folder, kept.folder.parent / REPLACED)


def configure(learner: str, d: int, options: Mapping[str, Any]) -> tuple[FeatureConfig, TrainConfig]:
    """The configuration of a learner, and how to train it, from options of both by name.

    Raises
    ------
    ModalensError
        If there is no such learner or option, or a value is out of range.
    """
    shape = config_class(learner)
    names = {kind: [field.name for field in fields(kind)] for kind in (shape, TrainConfig)}
    known = sorted({*names[shape], *names[TrainConfig]} - {"d"})
    for name in options:
        if name not in known:
            raise InputError(f"Training {learner} has no option {name!r}; it takes {', '.join(known)}.")
    chosen = {kind: {name: options[name] for name in options if name in names[kind]} for kind in names}
    return shape(d=d, **chosen[shape]), TrainConfig(**chosen[TrainConfig])


def folder_for(
    run: RunFolder, name: str, config: FeatureConfig, data: PairData, training: TrainConfig, split: str | None
) -> Path:
    """Where features go in a run when nobody says: a folder of this name, or beside it under a name of their own.

    Models with other settings live beside each other; a model of earlier embeddings makes way (see
    :func:`train_on`).

    Raises
    ------
    InputError
        If the name is no name of a folder, or means something else in a run.
    """
    check_name(name)
    folder = run.learned(name).folder
    kept = features_kept(folder, data, [config], training, split, kind_of(config).command)
    before, now = kept.recorded_inputs(), stable(kept.all_inputs())
    if before is None or before == now or before.get("embeddings") != now["embeddings"]:
        return folder
    settings = {key: now[key] for key in ("split", "configuration", "training")}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return run.learned(f"{name}-{digest[:6]}").folder


def check_features(where: LearnedFeatures, store: EmbeddingStore) -> None:
    """Refuse features that cannot stand for a store's embeddings.

    Raises
    ------
    ModalensError
        If their training is not finished, or they were learned on the embeddings of another model.
    """
    if not where.is_trained or not is_finished(where.folder):
        raise StoreError(
            f"The training of the features {where.name} is not finished; run the same modalens train again."
        )
    inputs = read_inputs(where.folder) or {}
    learned_on, own = dict(inputs.get("embeddings", {})), store.identity()
    card = learned_on.get("card_sha256")  # none where features were learned on arrays, or nothing is recorded
    if card is not None and card != own["card_sha256"]:
        same = learned_on["model"] == own["model"]
        other = f"another state of {own['model']}" if same else learned_on["model"]
        raise StoreError(
            f"The features {where.name} were learned on embeddings of {other}, and those here are of {own['model']}; "
            "learn them again with modalens train."
        )


def measure_learned(
    where: LearnedFeatures,
    store: EmbeddingStore,
    config: ScoreConfig,
    engine: Engine | None = None,
    device: str | None = None,
) -> Learned:
    """Encode the pairs of a store, score the codes and measure the features; what is done is kept.

    Who encodes and scores is ``engine``, as for :func:`modalens.encode_store`; this process by default. It encodes on
    ``device``, see :class:`modalens.runs.encoding.EncodeOn`.

    Raises
    ------
    ModalensError
        If the folder holds no trained features, or features of another width or another model's embeddings.
    """
    check_features(where, store)
    model = load_features(where.folder)
    codes = _encode(where, model.to(pick_device(device)), store, engine)
    model.to("cpu")
    scores = score_into(where.scores, codes, config, engine)
    return Learned(model, scores, _quality(where, model, store, config), read_log(where.folder))


def load_learned(where: LearnedFeatures, store: EmbeddingStore, config: ScoreConfig) -> Learned:
    """What :func:`measure_learned` made, where nothing has to be made.

    Raises
    ------
    ModalensError
        If something is missing or was made from other inputs; the sentence says what to run.
    """
    check_features(where, store)
    model = load_features(where.folder)
    codes_kept(where, model, store).require()
    scores_kept(where.scores, CodeStore.open(where.codes), config).require()
    quality_kept(where, model, store, config).require()
    return Learned(model, Scores.load(where.scores), _load_quality(where), read_log(where.folder))


def _load_quality(where: LearnedFeatures) -> dict[str, Quality]:
    document = read_document(where.quality, _KIND, _SCHEMA_VERSION)
    return {name: Quality.from_dict(values) for name, values in document["quality"].items()}


def _encode(
    where: LearnedFeatures, model: FeatureModel, store: EmbeddingStore, engine: Engine | None
) -> CodeStore:
    kept = codes_kept(where, model, store)
    if kept.problem() is None:
        return CodeStore.open(where.codes)
    before = kept.recorded_inputs()
    unknown = before is None and where.codes.is_dir()
    if unknown or (before is not None and before != stable(kept.all_inputs())):
        set_aside(where.codes, where.folder / REPLACED)
    with kept.making():
        return encode_store(model, store, where.codes, engine=engine)


def _quality(
    where: LearnedFeatures, model: FeatureModel, store: EmbeddingStore, config: ScoreConfig
) -> dict[str, Quality]:
    def make() -> dict[str, Quality]:
        found = _measure_quality(model, store, config)
        about = {"modalens": __version__, "model": model.card(), "seed": config.seed}
        about |= {"groups": config.groups, "pairs": len(store)}
        values = {name: quality.to_dict() for name, quality in found.items()}
        write_document(where.quality, _KIND, _SCHEMA_VERSION, {"about": about, "quality": values})
        return found

    return kept_or_made(quality_kept(where, model, store, config), lambda: _load_quality(where), make)


def _measure_quality(model: FeatureModel, store: EmbeddingStore, config: ScoreConfig) -> dict[str, Quality]:
    images = store.image_numbers
    groups = images if config.groups is None else store.groups_by(config.groups)
    found = {}
    for name, rows in (store.rows_by_split() or {ALL: np.arange(len(store))}).items():
        found[name] = measure_quality(
            model,
            *_picked(store, rows),
            groups=None if groups is None else groups[rows],
            image_ids=None if images is None else images[rows],
            seed=config.seed,
        )
    return found


def _picked(store: EmbeddingStore, rows: Int[np.ndarray, " k"]) -> tuple[Matrix, Matrix]:
    return store.image.pick(rows), store.text.pick(rows)
