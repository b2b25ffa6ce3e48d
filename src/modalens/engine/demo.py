"""The demo: the whole path on a real encoder and real pictures, beside its baselines."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modalens.engine.embedding import embed
from modalens.engine.learning import measure_learned, train_on
from modalens.engine.reporting import report_run
from modalens.engine.run import Run
from modalens.engine.scoring import ScoreConfig, Scores, score_store
from modalens.features import NCLConfig, SAEConfig, TrainConfig
from modalens.features.trainer import FeatureConfig
from modalens.pairs import Pair, Pairs, Skipped, load_pairs
from modalens.store import EmbeddingStore
from modalens.towers import load_vlm
from modalens.towers.splits import split_of

logger = logging.getLogger(__name__)

TWINS = ("untrained", "shuffled", "learnt-temperature")
# Scored on concepts the heads never saw. A concept comes in many skin tones and genders, which are near
# copies of each other, so whole concepts are drawn in the bootstrap.
CONFIG = ScoreConfig(groups="concept", split="held-out")
# More steps fit the training concepts closer and the held-out ones no better.
SAE_TRAINING = TrainConfig(steps=500, batch_size=512, log_every=50, evaluation_pairs=1000)
NCL_TRAINING = TrainConfig(steps=300, batch_size=512, lr=1e-3, log_every=50, evaluation_pairs=1000)
_TITLE = "Which features of an emoji encoder belong to images, and which to texts?"


class _SplitOpenMoji(Pairs):
    """OpenMoji with the split of each pair's concept as a label."""

    name = "openmoji"

    def __init__(self) -> None:
        self._pairs = load_pairs("openmoji")

    def scan(self) -> Iterator[Pair | Skipped]:
        for item in self._pairs.scan():
            if isinstance(item, Pair):
                label = {**item.label, "split": split_of(item.label["concept"])}
                yield Pair(item.id, item.ref, item.text, label)
            else:
                yield item

    def count(self) -> int | None:
        return self._pairs.count()

    def card(self) -> dict[str, Any]:
        return self._pairs.card()


def run_demo(out: str | Path = "runs/demo") -> tuple[Run, Scores, Path]:
    """Train the demo encoder and its twins, embed OpenMoji, learn features, score all and report.

    Every part that an earlier run finished is kept.

    Parameters
    ----------
    out
        Folder of the run.

    Returns
    -------
    run, scores, report
        The run, the demo encoder's scores, and the page.

    Raises
    ------
    ModalensError
        If a package of the ``demo`` extra is missing, or ``out`` holds another run.
    """
    run = Run(Path(out))
    pairs = _SplitOpenMoji()
    scores = _embed_and_score(run, pairs, "demo")
    for twin in TWINS:
        _embed_and_score(run.baseline(twin), pairs, f"demo:{twin}")
    return run, scores, report_run(run, title=_TITLE)


def _embed_and_score(run: Run, pairs: Pairs, name: str) -> Scores:
    logger.info("Encoder %s", name)
    store = embed(pairs, load_vlm(name), run.embeddings)
    scores = score_store(store, CONFIG)
    scores.save(run.scores)
    _learn(run, store)
    return scores


def _learn(run: Run, store: EmbeddingStore) -> None:
    """Learn sparse features on the training concepts, in the same way for every encoder."""
    d = int(store.image.shape[1])
    plans: dict[str, tuple[FeatureConfig, TrainConfig]] = {
        "sae": (SAEConfig(d), SAE_TRAINING),
        "ncl": (NCLConfig(d), NCL_TRAINING),
    }
    for name, (config, training) in plans.items():
        where = run.learned(name)
        train_on(config, store, training, where.folder, split="train")
        measure_learned(where, store, CONFIG)
