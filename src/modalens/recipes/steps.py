"""What the steps of a recipe can do, each on one run; a step's settings are the keywords of its function."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from modalens.errors import ModalensError
from modalens.features import NCLConfig, SAEConfig, TrainConfig
from modalens.pairs import load_pairs
from modalens.recipes.comparison import compare, write_comparison
from modalens.runs.embedding import embed
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from modalens.runs.learning import measure_learned, train_on
from modalens.runs.reporting import ReportConfig, report_run
from modalens.runs.scoring import ScoreConfig, score_into
from modalens.runs.studying import run_study
from modalens.studies.registry import find_study
from modalens.towers import load_vlm

_LEARNERS = ("sae", "ncl")


def embed_pairs(
    runs: Path,
    run: RunFolder,
    *,
    pairs: str,
    vlm: str,
    dtype: str = "float32",
    rows_per_shard: int = 8192,
    batch_size: int = 32,
    engine: str = "local",
    workers: int = 1,
) -> None:
    """Embed a source of pairs with a model."""
    del runs
    embed(
        load_pairs(pairs),
        load_vlm(vlm),
        run.embeddings,
        dtype=dtype,
        rows_per_shard=rows_per_shard,
        batch_size=batch_size,
        engine=engine,
        workers=workers,
    )


def score_run(
    runs: Path,
    run: RunFolder,
    *,
    rule: str = "mu_sigma",
    normalize: bool = False,
    groups: str | None = None,
    split: str | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> None:
    """Dominance scores, the gap and retrieval of the embeddings."""
    del runs
    score_into(run.scores, run.store(), ScoreConfig(rule, normalize, groups, split, resamples, seed))


def train_features(
    runs: Path,
    run: RunFolder,
    *,
    learner: str,
    pairs_of: str | None = None,
    kind: str = "topk",
    n_features: int = 1024,
    k: int = 32,
    temperature: float = 0.07,
    steps: int = 2000,
    batch_size: int = 1024,
    lr: float = 3e-3,
    patience: int = 0,
    split: str | None = None,
    seed: int = 0,
) -> None:
    """Learn features ``sae`` or ``ncl``, from the pairs of another run if ``pairs_of`` names one; encode and score."""
    store = run.store()
    data = store if pairs_of is None else RunFolder(runs / pairs_of).store()
    settings = {
        "learner": learner,
        "kind": kind,
        "n_features": n_features,
        "k": k,
        "temperature": temperature,
        "steps": steps,
        "batch_size": batch_size,
        "lr": lr,
        "patience": patience,
        "seed": seed,
    }
    config, training = learning(int(store.image.shape[1]), settings)
    where = run.learned(learner)
    train_on(config, data, training, where.folder, split=split)
    measure_learned(where, store, score_into(run.scores, store).config)


def learning(d: int, settings: Mapping[str, Any]) -> tuple[SAEConfig | NCLConfig, TrainConfig]:
    """What a ``train`` step learns from embeddings of width d, and how.

    Raises
    ------
    ModalensError
        If there is no such learner, or a setting is out of its range.
    """
    learner, seed = settings["learner"], settings["seed"]
    if learner not in _LEARNERS:
        raise ModalensError(f"There is no learner {learner!r}; there are {', '.join(_LEARNERS)}.")
    config = (
        SAEConfig(d, settings["n_features"], settings["k"], settings["kind"], seed=seed)
        if learner == "sae"
        else NCLConfig(d, settings["n_features"], settings["temperature"], seed=seed)
    )
    how = {name: settings[name] for name in ("steps", "batch_size", "lr", "patience")}
    return config, TrainConfig(**how, seed=seed)


def interpret_features(
    runs: Path,
    run: RunFolder,
    *,
    image_embedder: str = "efficientnet-lite0",
    text_embedder: str = "minilm",
    m: int = 20,
    draws: int = 5,
    rule: str = "twofold",
    shuffles: int = 200,
    seed: int = 0,
) -> None:
    """How interpretable the features of every representation are, with galleries and verdicts."""
    del runs
    interpret_run(run, InterpretConfig(image_embedder, text_embedder, m, draws, rule, shuffles, seed))


def study_run(
    runs: Path,
    run: RunFolder,
    *,
    study: str,
    label: str = "category",
    attribute: str = "gender",
    classifier: str | None = None,
    threshold: float = 0.9,
    rule: str = "mu_sigma",
    draws: int | None = None,
    representation: str | None = None,
    prompt: str = "an animal",
    generator: str = "self",
    victim: str = "self",
    judge: str | None = None,
    requests: str | None = None,
    images: int = 4,
    repetitions: int = 3,
    seed: int = 0,
) -> None:
    """A study, beside its controls."""
    del runs
    given = {
        "label": label,
        "attribute": attribute,
        "classifier": classifier,
        "threshold": threshold,
        "rule": rule,
        "draws": draws,
        "seed": seed,
        "prompt": prompt,
        "generator": generator,
        "victim": victim,
        "judge": judge,
        "requests": requests,
        "images": images,
        "runs": repetitions,
    }
    kind = find_study(study).config
    own = {field.name for field in fields(kind)}
    config = kind(**{key: value for key, value in given.items() if key in own and value is not None})
    run_study(run, study, config, features=representation)


def report_on(runs: Path, run: RunFolder, *, title: str | None = None) -> None:
    """The page."""
    del runs
    report_run(run, ReportConfig(title=title))


def compare_with_papers(
    runs: Path, run: RunFolder, *, declip: str | None = None, removal: str | None = None
) -> None:
    """Every published number beside ours: of this run, and of the runs of DeCLIP and of the removal test."""
    others = {
        name: None if which is None else RunFolder(runs / which)
        for name, which in (("declip", declip), ("removal", removal))
    }
    write_comparison(compare(run, **others), run.folder / "comparison")


STEPS: dict[str, Callable[..., None]] = {
    "embed": embed_pairs,
    "score": score_run,
    "train": train_features,
    "interpret": interpret_features,
    "study": study_run,
    "report": report_on,
    "compare": compare_with_papers,
}
