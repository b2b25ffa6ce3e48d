"""What each step of a run is made from: the declared inputs of scores, codes, features and interpretations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modalens.dominance import ESTIMATORS, RULES
from modalens.runs.layout import LearnedFeatures
from modalens.store import EmbeddingStore, JoinedStore, PairStore
from modalens.store.kept import Kept

QUALITY_RECORD = "quality.inputs.json"


def scores_kept(folder: Path, store: PairStore, config: Any) -> Kept:
    """Scores of a store, in a folder."""
    inputs = {
        "embeddings": store.identity(),
        "config": asdict(config),
        "estimators": list(ESTIMATORS),  # all of them are kept
        "rules": list(RULES),
    }
    files = ("dominance-*.parquet", "gap.json", "scores.json")
    return Kept(folder, "the scores", inputs, "modalens score", files=files)


def features_kept(
    folder: Path, data: Any, configs: Sequence[Any], training: Any, split: str | None, learner: str
) -> Kept:
    """Learned features in a folder; the log and the checkpoints are no part of them.

    ``data`` is a store, a joined store, or matrices, of which only the shape is known.
    """
    if isinstance(data, PairStore):
        embeddings: Mapping[str, Any] = data.identity()
    elif isinstance(data, JoinedStore):
        embeddings = {"model": "joined", "stores": data.identity()}
    else:
        embeddings = {"model": "arrays", "shapes": [list(side.shape) for side in data]}
    inputs = {
        "embeddings": embeddings,
        "split": split,
        "configuration": [asdict(each) for each in configs],
        "training": training.inputs(configs),
    }
    return Kept(
        folder,
        f"the features {folder.name}",
        inputs,
        f"modalens train {learner}",
        files=("config.json", "*.safetensors"),
        leave_out=("checkpoint-*",),
    )


def imported_kept(folder: Path, store: EmbeddingStore, source: Mapping[str, Any]) -> Kept:
    """Features that were trained elsewhere, in a folder; they count as features of the run's embeddings."""
    inputs = {"embeddings": store.identity(), "split": None, "imported": dict(source)}
    return Kept(
        folder,
        f"the features {folder.name}",
        inputs,
        "modalens score --features",
        files=("config.json", "*.safetensors"),
    )


def codes_kept(where: LearnedFeatures, model: Any, store: EmbeddingStore) -> Kept:
    """Codes of a store; their manifest vouches for every shard."""
    inputs = {"features": model.card(), "embeddings": store.identity()}
    return Kept(where.codes, "the codes", inputs, "modalens score", files=("manifest.json",))


def quality_kept(where: LearnedFeatures, model: Any, store: EmbeddingStore, config: Any) -> Kept:
    """What features keep of the embeddings they encode."""
    inputs = {
        "features": model.card(),
        "embeddings": store.identity(),
        "seed": config.seed,
        "groups": config.groups,
    }
    return Kept(
        where.folder,
        "the measured quality",
        inputs,
        "modalens score",
        files=(where.quality.name,),
        record_name=QUALITY_RECORD,
    )


def interpretation_kept(
    folder: Path, about: Mapping[str, Any], config: Mapping[str, Any], embedders: Mapping[str, Any]
) -> Kept:
    """An interpretation of a representation ``about``, by models with these cards."""
    inputs = {"layout": 2, "of": dict(about), "config": dict(config), "embedders": dict(embedders)}
    return Kept(folder, "the interpretation", inputs, "modalens interpret")
