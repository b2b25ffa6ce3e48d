"""The demo: the whole path on a real encoder and real pictures, beside its baselines."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from modalens.demo.splits import split_of
from modalens.engine.parents import end_with_parent
from modalens.features import NCLConfig, SAEConfig, TrainConfig
from modalens.pairs import Pair, Pairs, Skipped, load_pairs
from modalens.progress import progress_bar
from modalens.runs.dictionary_baselines import BaselinesConfig, train_baselines
from modalens.runs.embedding import embed
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.interpreting import collect_samples, interpret_run
from modalens.runs.layout import RunFolder
from modalens.runs.learning import measure_learned, train_on
from modalens.runs.naming import NameConfig, name_run
from modalens.runs.reporting import ReportConfig, report_run
from modalens.runs.scoring import ScoreConfig, Scores, score_into
from modalens.runs.studying import run_study
from modalens.studies.class_removal.config import RemovalOnRun
from modalens.studies.registry import find_study
from modalens.towers import load_vlm

logger = logging.getLogger(__name__)

TWINS = ("untrained", "shuffled", "learnt-temperature")
# Scored on concepts the heads never saw. A concept comes in many skin tones and genders, which are near
# copies of each other, so whole concepts are drawn in the bootstrap.
CONFIG = ScoreConfig(groups="concept", split="held-out")


# What a sweep recommends over as many features as the embeddings are wide and fewer: another seed finds 62 % of them
# again. Of 512 it finds 55 %, which leave .41 in place of .43 of the held-out variance and train half as fast. The
# contrastive projector has as many, so that both are read alike.
N_FEATURES, K = 256, 4
_SAE = TrainConfig(steps=1000, batch_size=512, log_every=100, checkpoint_every=250, evaluation_pairs=1000)
_NCL = TrainConfig(steps=300, batch_size=512, log_every=50, checkpoint_every=100, evaluation_pairs=1000)
# By Unicode's category and emojilib's keywords: the encoder is built on two frozen models, which must not judge it.
_LABELS = "labels:category,tags"
_INTERPRETATION = InterpretConfig(image_embedder=_LABELS, text_embedder=_LABELS)
# What studies of one representation look at.
_ONE = "sae"


@dataclass(frozen=True)
class DemoPlan:
    """What the demo does on each encoder's embeddings: training, interpretation and studies.

    The demo encoder alone has autoencoders of other ``seeds``, and the baselines of a dictionary named by
    ``dictionaries``.
    """

    sae: TrainConfig = _SAE
    seeds: tuple[int, ...] = (1, 2)
    dictionaries: tuple[str, ...] = ("frozen_decoder", "frozen_encoder", "soft_frozen", "pca", "ica")
    ncl: TrainConfig = _NCL
    interpretation: InterpretConfig = _INTERPRETATION
    studies: tuple[str, ...] = ("removal", "stability")
    names: bool = True  # of the autoencoder's features
    curve_draws: int = 0  # of the removal study; its curves take as long as the rest of it
    pairs: int | None = None  # the first so many; all by default


_TITLE = "Which features of an emoji encoder belong to images, and which to texts?"


class _SplitOpenMoji(Pairs):
    """OpenMoji with the split of each pair's concept as a label."""

    name = "openmoji"

    def __init__(self, first: int | None = None) -> None:
        self._pairs = load_pairs("openmoji")
        self._first = first

    def scan(self) -> Iterator[Pair | Skipped]:
        for item in islice(self._pairs.scan(), self._first):
            if isinstance(item, Pair):
                label = {**item.label, "split": split_of(item.label["concept"])}
                yield Pair(item.id, item.ref, item.text, label)
            else:
                yield item

    def count(self) -> int | None:
        count = self._pairs.count()
        return count if count is None or self._first is None else min(count, self._first)

    def card(self) -> dict[str, Any]:
        return self._pairs.card()


def run_demo(out: str | Path = "runs/demo", plan: DemoPlan | None = None) -> tuple[RunFolder, Scores, Path]:
    """Train the demo encoder and its twins, embed OpenMoji, learn features and interpret them, and report.

    Every part that an earlier run finished is kept.

    Parameters
    ----------
    out
        Folder of the run.
    plan
        What to do on the embeddings.

    Returns
    -------
    run, scores, report
        The run, the demo encoder's scores, and the page.

    Raises
    ------
    ModalensError
        If a package of the ``demo`` extra is missing, or ``out`` holds another run.
    """
    plan = plan or DemoPlan()
    run = RunFolder(Path(out))
    scores = _embed_and_score(run, "demo", plan)
    store = run.store()
    collect_samples(store, run.samples, store.rows_of_split("held-out"), plan.interpretation)
    _each_in_its_own_process(run, plan)
    return run, scores, report_run(run, ReportConfig(title=_TITLE))


def _embed_and_score(run: RunFolder, name: str, plan: DemoPlan) -> Scores:
    logger.info("Encoder %s", name)
    store = embed(_SplitOpenMoji(plan.pairs), load_vlm(name), run.embeddings)
    return score_into(run.scores, store, CONFIG)


def _each_in_its_own_process(run: RunFolder, plan: DemoPlan) -> None:
    """Study the encoder and its twins side by side, each on one core: the matrices are too small for more."""
    workers = min(1 + len(TWINS), os.cpu_count() or 1)
    # A fresh interpreter each: a fork would inherit the threads of PyTorch in an unknown state.
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent) as pool,
        progress_bar("Learning and interpreting features", 1 + len(TWINS)) as advance,
    ):
        work = [pool.submit(_learn_and_interpret, run.folder, twin, plan) for twin in (None, *TWINS)]
        try:
            for done in as_completed(work):
                done.result()
                advance(1)
        except BaseException:  # Ctrl-C too: what was not begun is not begun any more
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _learn_and_interpret(folder: Path, twin: str | None, plan: DemoPlan) -> None:
    """Everything that is done on the embeddings of the encoder, which are there, or of a twin, which are made first."""
    import torch

    torch.set_num_threads(1)
    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stderr(nowhere),  # one bar is shown for all
        threadpool_limits(1),
    ):
        main = RunFolder(folder)
        run, parent = (main, None) if twin is None else (main.baseline(twin), main)
        if twin is not None:
            _embed_and_score(run, f"demo:{twin}", plan)
        store = run.store()
        d = int(store.image.shape[1])
        for name, config, training in (
            ("sae", SAEConfig(d, N_FEATURES, K), plan.sae),
            ("ncl", NCLConfig(d, N_FEATURES), plan.ncl),
        ):
            where = run.learned(name)
            train_on(config, store, training, where.folder, split="train")
            measure_learned(where, store, CONFIG)
        if parent is None:
            for seed in plan.seeds:
                where = run.learned("sae").seed(seed)
                train_on(
                    SAEConfig(d, N_FEATURES, K, seed=seed),
                    store,
                    replace(plan.sae, seed=seed),
                    where.folder,
                    split="train",
                )
            train_baselines(run, BaselinesConfig(like="sae", kind=plan.dictionaries))
        interpret_run(run, plan.interpretation, baselines=False, baseline_of=parent)
        if parent is None and plan.names:
            name_run(run, NameConfig(), features=_ONE)
        for study in plan.studies:
            alone = find_study(study).one_representation
            if parent is None or not alone:
                options = RemovalOnRun(curve_draws=plan.curve_draws) if study == "removal" else None
                run_study(run, study, options, features=_ONE if alone else None, baselines=False)
