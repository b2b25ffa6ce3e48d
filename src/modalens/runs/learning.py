"""Learn features on a run's embeddings, encode its pairs with them, and score the codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from modalens.arrays import Matrix
from modalens.errors import ModalensError
from modalens.features import NCL, SparseAutoencoder, TrainConfig, train
from modalens.features.card import read_log
from modalens.features.quality import Quality, measure_quality
from modalens.features.sharing import load_features
from modalens.features.trainer import FeatureConfig, PairData, Trained
from modalens.runs.encoding import encode_store
from modalens.runs.layout import LearnedFeatures
from modalens.runs.scoring import ScoreConfig, Scores, score_store
from modalens.store import EmbeddingStore
from modalens.store.documents import read_document, write_document
from modalens.store.lock import alone_in
from modalens.version import __version__

_KIND = "modalens feature quality"
_SCHEMA_VERSION = 1
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

    model: SparseAutoencoder | NCL
    scores: Scores
    quality: Mapping[str, Quality]
    log: Sequence[Mapping[str, Any]]


def rows_by_split(store: EmbeddingStore) -> dict[str, Int[np.ndarray, " k"]]:
    """Row numbers of each value of the metadata column ``split``; empty where there is no such column."""
    if "split" not in store.columns:
        return {}
    splits = store.read_metadata(["split"])["split"].astype(str)
    return {str(name): np.sort(rows) for name, rows in splits.groupby(splits).indices.items()}


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

    Raises
    ------
    ModalensError
        If there is no such split, or training cannot go on (see :func:`modalens.features.train`).
    """
    held_out: PairData | None = None
    if split is not None:
        if not isinstance(data, EmbeddingStore):
            raise ModalensError("A .npy file has no metadata, so there is no split of it to train on.")
        rows = rows_by_split(data)
        if split not in rows:
            there = f"there are {', '.join(rows)}" if rows else "its metadata has no column 'split'"
            raise ModalensError(f"No pair of {data.folder} has split {split!r}; {there}.")
        others = [numbers for name, numbers in rows.items() if name != split]
        held_out = _picked(data, np.sort(np.concatenate(others))) if others else None
        data = _picked(data, rows[split])
    (trained,) = train([config], data, training, held_out=held_out, out=out, trackers=trackers)
    return trained


def measure_learned(where: LearnedFeatures, store: EmbeddingStore, config: ScoreConfig) -> Learned:
    """Encode the pairs of a store, score the codes and measure the features; what is done is kept.

    Raises
    ------
    ModalensError
        If the folder holds no trained features, or features of another width.
    """
    model = load_features(where.folder)
    codes = encode_store(model, store, where.codes)
    scores = None
    if (where.scores / "scores.json").exists():
        scores = Scores.load(where.scores)
    if scores is None or scores.config != config:
        with alone_in(where.scores):
            scores = score_store(codes, config)
            scores.save(where.scores)
    return Learned(model, scores, _quality(where, model, store, config), read_log(where.folder))


def _quality(
    where: LearnedFeatures, model: SparseAutoencoder | NCL, store: EmbeddingStore, config: ScoreConfig
) -> dict[str, Quality]:
    about = {"modalens": __version__, "model": model.card(), "seed": config.seed}
    about |= {"groups": config.groups, "pairs": len(store)}
    if where.quality.exists():
        document = read_document(where.quality, _KIND, _SCHEMA_VERSION)
        if document.get("about") == about:
            return {name: Quality.from_dict(values) for name, values in document["quality"].items()}
    images = _column(store, "image_path")
    groups = images if config.groups is None else _column(store, config.groups)
    found = {}
    for name, rows in (rows_by_split(store) or {ALL: np.arange(len(store))}).items():
        found[name] = measure_quality(
            model,
            *_picked(store, rows),
            groups=None if groups is None else groups.iloc[rows].to_numpy(),
            image_ids=None if images is None else images.iloc[rows].to_numpy(),
            seed=config.seed,
        )
    values = {name: quality.to_dict() for name, quality in found.items()}
    write_document(where.quality, _KIND, _SCHEMA_VERSION, {"about": about, "quality": values})
    return found


def _column(store: EmbeddingStore, name: str) -> pd.Series | None:
    return store.read_metadata([name])[name] if name in store.columns else None


def _picked(store: EmbeddingStore, rows: Int[np.ndarray, " k"]) -> tuple[Matrix, Matrix]:
    return store.image.pick(rows), store.text.pick(rows)
