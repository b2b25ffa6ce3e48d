"""The demo: the whole path on a real encoder and real pictures, beside its baselines."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modalens.engine.embedding import embed
from modalens.engine.reporting import report_run
from modalens.engine.run import Run
from modalens.engine.scoring import ScoreConfig, Scores, score_store
from modalens.pairs import Pair, Pairs, Skipped, load_pairs
from modalens.towers import load_vlm
from modalens.towers.splits import split_of

logger = logging.getLogger(__name__)

TWINS = ("untrained", "shuffled", "learnt-temperature")
# Scored on concepts the heads never saw. A concept comes in many skin tones and genders, which are near
# copies of each other, so whole concepts are drawn in the bootstrap.
CONFIG = ScoreConfig(groups="concept", split="held-out")
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
    """Train the demo encoder and its twins, embed OpenMoji with each, score all and report.

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
    return scores
