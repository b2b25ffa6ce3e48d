"""What the steps of a recipe can do, each on one run; a step's keys are the fields of its classes of options."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modalens.arrays import Matrix
from modalens.engine.engines import EngineConfig
from modalens.errors import InputError, ModalensError
from modalens.features import TrainConfig
from modalens.features.config import FeatureConfig
from modalens.features.registry import commands, config_class, kind_of
from modalens.features.trainer import PairData
from modalens.interpret.sweep import Sweep
from modalens.options import Options, is_required, option
from modalens.pairs import load_pairs
from modalens.recipes.comparison import compare, write_comparison
from modalens.runs.choice import Scope, ScopeOfOne
from modalens.runs.dictionary_baselines import BaselinesConfig, train_baselines
from modalens.runs.embedding import embed
from modalens.runs.encoding import EncodeOn
from modalens.runs.import_config import ImportConfig
from modalens.runs.importing import import_features
from modalens.runs.interpretation import InterpretConfig
from modalens.runs.interpreting import interpret_run
from modalens.runs.layout import RunFolder
from modalens.runs.learning import LearnConfig, measure_learned, train_on
from modalens.runs.naming import NameConfig, NameFrom, name_run
from modalens.runs.reporting import ReportConfig, report_run
from modalens.runs.scoring import ScoreConfig, SumsOn, score_into
from modalens.runs.shards import EmbedConfig, EmbedStep
from modalens.runs.studying import run_study
from modalens.runs.sweep_config import OWN_OPTIONS, SweepConfig
from modalens.runs.sweeping import find_sweep, sweep_run
from modalens.store import EmbeddingStore
from modalens.studies.registry import find_study, study_names
from modalens.towers import load_vlm

# The width of the embeddings is known when they are there; nothing that is checked depends on it.
_WIDTH, _ANY_WIDTH = "d", 1
# Texts are dealt out anew among so many pairs at a time.
_DEALT = 65_536


@dataclass(frozen=True)
class EmbedPairs(Options):
    """What a step embeds."""

    pairs: str = option(dataclasses.MISSING, "Where the pairs come from.")


@dataclass(frozen=True)
class TrainOn(Options):
    """What a step trains, and on which run's pairs."""

    learner: str = option(dataclasses.MISSING, "What is trained.", choices=commands)
    pairs_of: str | None = option(None, "Run of the recipe to learn from (default: the step's own).")
    shuffle_pairs: bool = option(
        False, "Deal the texts out anew first, so that pairs mean nothing: a baseline."
    )
    recommended: bool = option(False, "Take the size that the sweep of the run recommends.")


@dataclass(frozen=True)
class StudyNamed(Options):
    """Which study a step runs."""

    study: str = option(dataclasses.MISSING, "Name of the study.", choices=study_names)


@dataclass(frozen=True)
class CompareWith(Options):
    """Runs that hold the papers' other models: DeCLIP's and its twin's, that of the removal test, the generator's."""

    declip: str | None = option(None, "Run of the same pairs through DeCLIP.")
    matched: str | None = option(None, "Run of the same pairs through the CLIP trained on DeCLIP's pairs.")
    removal: str | None = option(None, "Run of the removal test.")
    text_to_image: str | None = option(None, "Run of the text-to-image study.")


@dataclass(frozen=True)
class StepKind:
    """One kind of step.

    Attributes
    ----------
    classes
        Classes of options whose fields are the keys of a step, which may depend on some of its settings.
    do
        Does it: takes the folder of the runs, the run, and one configuration of each class.
    leave_out
        Options of the classes that the step decides itself.
    """

    classes: Callable[[Mapping[str, Any]], tuple[type[Options], ...]]
    do: Callable[..., None]
    leave_out: tuple[str, ...] = ()

    def keys(self, config: type[Options]) -> dict[str, "dataclasses.Field[Any]"]:
        """The keys that a class of options gives a step."""
        left_out = (_WIDTH, *self.leave_out)
        return {field.name: field for field in dataclasses.fields(config) if field.name not in left_out}


def embed_pairs(
    runs: Path, run: RunFolder, source: EmbedPairs, step: EmbedStep, config: EmbedConfig, engine: EngineConfig
) -> None:
    """Embed a source of pairs with a model."""
    del runs
    embed(
        load_pairs(source.pairs),
        load_vlm(step.vlm, device=step.device, revision=step.revision),
        run.embeddings,
        strict=step.strict,
        device=step.device,
        **vars(config),
        **vars(engine),
    )


def score_run(runs: Path, run: RunFolder, config: ScoreConfig, on: SumsOn, taken: ImportConfig) -> None:
    """Dominance scores, the gap and retrieval of the embeddings, and of the features that are taken in."""
    del runs
    score_into(run.scores, run.store(), config, device=on.device)
    if taken.features is not None:
        measure_learned(import_features(run, taken), run.store(), config)


def shuffled_pairs(store: EmbeddingStore) -> tuple[Matrix, Matrix]:
    """The pairs with texts dealt out anew among neighbours, which keeps reading them in order cheap."""
    rng, n = np.random.default_rng(0), len(store)
    blocks = [start + rng.permutation(min(_DEALT, n - start)) for start in range(0, n, _DEALT)]
    return store.image, store.text.pick(np.concatenate(blocks))


def train_features(
    runs: Path, run: RunFolder, on: TrainOn, shape: FeatureConfig, training: TrainConfig, how: LearnConfig
) -> None:
    """Learn features, from the pairs of another run if one is named; encode and score."""
    store = run.store()
    pairs = store if on.pairs_of is None else RunFolder(runs / on.pairs_of).store()
    data: PairData = pairs
    if on.shuffle_pairs:
        if how.split is not None:
            raise InputError("shuffle_pairs deals out all texts; leave out split.")
        data = shuffled_pairs(pairs)
    size = recommended_size(run, shape) if on.recommended else {}
    config = dataclasses.replace(shape, d=int(store.image.shape[1]), **size)
    assert how.name is not None  # the step's own where none is given
    where = run.learned(how.name)
    train_on(config, data, training, where.folder, split=how.split, trackers=how.tracker)
    measure_learned(where, store, score_into(run.scores, store).config, device=training.device)


def recommended_size(run: RunFolder, shape: FeatureConfig) -> dict[str, int]:
    """n_features and k as the sweep of a run recommends them for what is trained.

    Raises
    ------
    InputError
        If there is no sweep over such features.
    """
    kind = kind_of(shape).name
    found = find_sweep(run)
    if not isinstance(found, Sweep):
        raise InputError(
            found or f"There is no sweep in {run.folder}; sweep before, or give n_features and k."
        )
    if found.kind != kind:
        raise InputError(
            f"The sweep in {run.folder} is over {found.kind} features, not {kind}; sweep over those."
        )
    return {"n_features": found.choice.n, "k": found.choice.k}


def sweep_sizes(runs: Path, run: RunFolder, config: SweepConfig, training: TrainConfig) -> None:
    """Dictionaries of several sizes and seeds, compared, and a size that is recommended."""
    del runs
    sweep_run(run, config, training)


def make_baselines(runs: Path, run: RunFolder, config: BaselinesConfig) -> None:
    """Dictionaries that learned features are held against."""
    del runs
    train_baselines(run, config)


def interpret_features(
    runs: Path, run: RunFolder, config: InterpretConfig, scope: Scope, on: EncodeOn
) -> None:
    """How interpretable the features of representations are, with galleries and verdicts."""
    del runs
    interpret_run(run, config, **vars(scope), device=on.device)


def name_features_of(
    runs: Path, run: RunFolder, config: NameConfig, words: NameFrom, scope: ScopeOfOne
) -> None:
    """Names of one set of features, scored."""
    del runs
    name_run(run, config, words, scope.features)


def study_run(
    runs: Path, run: RunFolder, named: StudyNamed, config: Options, scope: Scope | ScopeOfOne
) -> None:
    """A study, beside its controls."""
    del runs
    run_study(run, named.study, config, **vars(scope))


def report_on(runs: Path, run: RunFolder, config: ReportConfig) -> None:
    """The page."""
    del runs
    report_run(run, config)


def compare_with_papers(runs: Path, run: RunFolder, others: CompareWith) -> None:
    """Every published number beside ours."""
    found = {name: None if which is None else RunFolder(runs / which) for name, which in vars(others).items()}
    write_comparison(compare(run, **found), run.folder / "comparison")


def _train_classes(settings: Mapping[str, Any]) -> tuple[type[Options], ...]:
    if settings.get("learner") not in commands():
        return (TrainOn,)  # which says what is wrong
    return TrainOn, config_class(settings["learner"]), TrainConfig, LearnConfig


def _study_classes(settings: Mapping[str, Any]) -> tuple[type[Options], ...]:
    if settings.get("study") not in study_names():
        return (StudyNamed,)
    study = find_study(settings["study"])
    return StudyNamed, study.config, ScopeOfOne if study.one_representation else Scope


STEPS: dict[str, StepKind] = {
    "embed": StepKind(lambda _: (EmbedPairs, EmbedStep, EmbedConfig, EngineConfig), embed_pairs),
    "score": StepKind(lambda _: (ScoreConfig, SumsOn, ImportConfig), score_run),
    "train": StepKind(_train_classes, train_features),
    "sweep": StepKind(lambda _: (SweepConfig, TrainConfig), sweep_sizes, leave_out=OWN_OPTIONS),
    "baselines": StepKind(lambda _: (BaselinesConfig,), make_baselines),
    "interpret": StepKind(lambda _: (InterpretConfig, Scope, EncodeOn), interpret_features),
    "name": StepKind(lambda _: (NameConfig, NameFrom, ScopeOfOne), name_features_of),
    "study": StepKind(_study_classes, study_run),
    "report": StepKind(lambda _: (ReportConfig,), report_on),
    "compare": StepKind(lambda _: (CompareWith,), compare_with_papers),
}


def configs_of(do: str, settings: Mapping[str, Any], what: str) -> tuple[Options, ...]:
    """One configuration of each class of a step.

    Parameters
    ----------
    do
        One of :data:`STEPS`.
    settings
        Those that are given; the others have their defaults.
    what
        The step, as the subject of a sentence.

    Raises
    ------
    InputError
        If a setting is unknown, missing, of the wrong type or out of range.
    """
    kind = STEPS[do]
    classes = kind.classes(settings)
    # A class that depends on a setting comes first and alone where that setting is wrong.
    first = classes[0]
    given = {
        config: {name: settings[name] for name in kind.keys(config) if name in settings} for config in classes
    }
    missing = [name for each in classes for name, field in kind.keys(each).items() if is_required(field)]
    missing = [name for name in missing if name not in settings]
    if missing:
        raise InputError(f"{what} lacks {', '.join(missing)}.")
    try:
        if len(classes) == 1:
            first(**given[first])
        known = list(dict.fromkeys(name for each in classes for name in kind.keys(each)))
        for name in settings:
            if name not in known:
                raise InputError(f"{what} has no {name!r}; it takes {', '.join(known)}.")
        width = {_WIDTH: _ANY_WIDTH}
        return tuple(
            config(**given[config], **(width if issubclass(config, FeatureConfig) else {}))
            for config in classes
        )
    except ModalensError as error:
        said = str(error)
        raise error if said.startswith(what) else InputError(f"{what}: {said}") from error
