"""What a report is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modalens.dominance import Dominance, ModalityGap
from modalens.dominance.retrieval import Retrieval
from modalens.errors import ModalensError
from modalens.report.cards import Gallery, Samples

if TYPE_CHECKING:
    import pandas as pd

    from modalens.features.quality import Quality
    from modalens.interpret import Fidelity
    from modalens.interpret.sweep import Sweep
    from modalens.studies.result import StudyResult

DEFAULT_ESTIMATOR = "mean_ratio"


@dataclass(frozen=True)
class Sample:
    """One pair as a reader sees it: a small picture or a short sound, and its text.

    ``preview`` holds the bytes of its file (see :func:`modalens.report.media.data_url`).
    """

    id: str
    preview: bytes
    text: str


@dataclass(frozen=True)
class LearnedResult:
    """Features learned on one encoder's embeddings.

    Attributes
    ----------
    name
        The same for every encoder of a report, e.g. "SAE".
    note
        One sentence: what they are.
    dominance
        Scores of the codes by estimator, as those of an encoder.
    quality
        What the features keep of the embeddings, by split of the pairs; the last split is the one that is
        scored.
    log
        Evaluations of the training, oldest first, as :func:`modalens.features.train` gives them.
    command, options
        The learner as ``modalens train`` calls it, and its options that are no defaults; empty where nothing says so.
    trained_on
        Those splits of ``quality`` that the features were trained on.
    """

    name: str
    note: str
    dominance: Mapping[str, Dominance | str]
    quality: Mapping[str, "Quality"] = field(default_factory=dict)
    log: Sequence[Mapping[str, Any]] = ()
    command: str = ""
    options: str = ""
    trained_on: Sequence[str] = ()

    def scores(self, estimator: str) -> Dominance | None:
        """Scores under ``estimator``, or None where they are not defined."""
        found = self.dominance.get(estimator)
        return None if isinstance(found, str) else found


@dataclass(frozen=True)
class Judge:
    """What says how alike samples are.

    Attributes
    ----------
    name
        As it was asked for.
    labels
        The metadata columns whose agreement is likeness; none for a model.
    shares
        What it shares with the encoder under study: ``nothing``, ``tower`` (the encoder holds it, frozen), ``model``
        (it is the encoder or its embeddings), or ``unknown``.
    """

    name: str
    shares: str
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class InterpretedResult:
    """How interpretable one encoder's features of one kind are.

    Attributes
    ----------
    name
        "Raw" for the embeddings, or the name of learned features; the same for every encoder of a report.
    rule
        The class rule behind the numbers.
    fidelity
        Averages of the metrics by class, and fidelity.
    verdicts, shuffled_verdicts
        One-sided features of each modality by verdict, and the same with pairs shuffled.
    along
        Mean metrics at checkpoints of the training, with columns ``step``, ``modality``, ``metric``, ``value``,
        ``low``, ``high`` and ``chance``; None or empty where nothing was trained.
    judges
        What said how alike the samples of each modality are; empty where that is not known.
    """

    name: str
    rule: str
    fidelity: "Fidelity"
    verdicts: Mapping[str, Mapping[str, int]]
    shuffled_verdicts: Mapping[str, Mapping[str, int]]
    along: "pd.DataFrame | None" = None
    judges: Mapping[str, "Judge"] = field(default_factory=dict)


@dataclass(frozen=True)
class DictionaryBaseline:
    """A dictionary of the size of learned features that training did not make, or not whole.

    Attributes
    ----------
    of
        The name of those features.
    learned, interpreted
        The same of it as of learned features; None where it was not interpreted.
    """

    of: str
    learned: LearnedResult
    interpreted: InterpretedResult | None = None


@dataclass(frozen=True)
class StudyOf:
    """A study of one kind of one encoder's features; the report puts those of one study side by side.

    ``baseline_of`` is the name of the features that it is a dictionary baseline of; empty for others.
    """

    features: str
    encoder: str
    result: "StudyResult"
    baseline_of: str = ""


@dataclass(frozen=True)
class EncoderResult:
    """One encoder of a side-by-side.

    Attributes
    ----------
    name
        Short and unlike the others', e.g. "Untrained twin".
    note
        One sentence: what this encoder is.
    dominance
        Scores by estimator. A string in place of scores says why that estimator is not defined here.
    gap
        The model-level gap on the same pairs.
    retrieval
        Recall on the same pairs, where it was measured.
    isolates
        For a baseline: what the main encoder has and this one lacks, as a noun phrase that fits "is owed
        to ...", e.g. "training". The computed sentences of the report use it.
    learned
        Features learned on its embeddings.
    interpreted
        How interpretable its own features and the learned ones are.
    dictionaries
        Baselines of the learned features; they stand in tables, and in no figure.
    said
        How a sentence speaks of it, such as "the untrained twin"; empty for its name as it is written.
    place
        For a baseline: its folder in the run, such as "baselines/untrained".
    """

    name: str
    note: str
    dominance: Mapping[str, Dominance | str]
    gap: ModalityGap
    retrieval: Retrieval | None = None
    isolates: str = ""
    learned: Sequence[LearnedResult] = ()
    interpreted: Sequence[InterpretedResult] = ()
    said: str = ""
    place: str = ""
    dictionaries: Sequence[DictionaryBaseline] = ()

    @property
    def spoken(self) -> str:
        """How a sentence speaks of it; a name keeps its case."""
        return self.said or self.name

    @property
    def all_learned(self) -> list[LearnedResult]:
        """Learned features, each followed by its baselines."""
        return [
            found
            for own in self.learned
            for found in (own, *(each.learned for each in self.dictionaries if each.of == own.name))
        ]

    @property
    def all_interpreted(self) -> list[InterpretedResult]:
        """Interpreted features, each followed by its baselines."""
        return [
            found
            for own in self.interpreted
            for found in (own, *(each.interpreted for each in self.dictionaries if each.of == own.name))
            if found is not None
        ]

    def scores(self, estimator: str) -> Dominance | None:
        """Scores under ``estimator``, or None where they are not defined."""
        found = self.dominance.get(estimator)
        return None if isinstance(found, str) else found

    @property
    def estimators(self) -> list[str]:
        """Estimators with scores, in the order given."""
        return [name for name, found in self.dominance.items() if not isinstance(found, str)]


@dataclass(frozen=True)
class ReportData:
    """Everything a report says.

    Attributes
    ----------
    title
        Heading of the page.
    summary
        What was measured on what, in one to three sentences.
    warning
        What a reader must know before any number, shown under the title; empty for nothing.
    main
        The encoder under study.
    baselines
        Encoders to hold it against; may be empty, the label-swap null is always there.
    provenance
        How it was made, nested: versions, model card, source card, configuration, date, command.
    skipped
        (id, reason) of everything in the source that could not become a pair.
    not_shown
        (what, why) of everything the run holds that the report leaves out, say results of other inputs; why is one
        sentence or two that say what to run.
    attributions, caveats
        Sentences: whose data and weights these are; what the numbers cannot be taken for.
    samples
        A few pairs, so that a reader sees what was embedded.
    studies
        Studies, those of the main encoder and of its baselines.
    sweep
        Dictionaries of several sizes learned on the main encoder; None where there are none.
    galleries, previews
        Cards of the main encoder's features, and the samples they show.

    Raises
    ------
    ModalensError
        If the main encoder has no scores, two encoders share a name, or their modalities differ.
    """

    title: str
    summary: str
    main: EncoderResult
    baselines: Sequence[EncoderResult] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    skipped: Sequence[tuple[str, str]] = ()
    not_shown: Sequence[tuple[str, str]] = ()
    attributions: Sequence[str] = ()
    caveats: Sequence[str] = ()
    samples: Sequence[Sample] = ()
    studies: Sequence[StudyOf] = ()
    galleries: Sequence[Gallery] = ()
    previews: Samples = field(default_factory=dict)
    warning: str = ""
    sweep: "Sweep | None" = None

    def __post_init__(self) -> None:
        """Check what the rest of the report relies on."""
        if not self.main.estimators:
            raise ModalensError(
                f"The encoder {self.main.name!r} has no scores; a report needs at least one estimator's."
            )
        names = [encoder.name for encoder in self.encoders]
        if len(set(names)) < len(names):
            raise ModalensError(f"Encoders of one report need different names, not {', '.join(names)}.")
        for encoder in self.encoders:
            for estimator in encoder.estimators:
                scores = encoder.scores(estimator)
                if scores is not None and tuple(scores.modalities) != self.modalities:
                    raise ModalensError(
                        f"The encoder {encoder.name!r} relates {' and '.join(scores.modalities)}, the main one "
                        f"{' and '.join(self.modalities)}; one report compares encoders of the same modalities."
                    )

    @property
    def encoders(self) -> list[EncoderResult]:
        """The main encoder, then the baselines."""
        return [self.main, *self.baselines]

    @property
    def estimator(self) -> str:
        """The estimator the page is about: ``mean_ratio``, or the first that has scores."""
        names = self.main.estimators
        return DEFAULT_ESTIMATOR if DEFAULT_ESTIMATOR in names else names[0]

    @property
    def scores(self) -> Dominance:
        """Scores of the main encoder under :attr:`estimator`."""
        return next(scores for name in [self.estimator] if (scores := self.main.scores(name)) is not None)

    @property
    def scored(self) -> dict[str, Dominance]:
        """Scores under :attr:`estimator` by encoder, of those that have any, the main one first."""
        found = {encoder.name: encoder.scores(self.estimator) for encoder in self.encoders}
        return {name: scores for name, scores in found.items() if scores is not None}

    @property
    def modalities(self) -> tuple[str, str]:
        """Names of the two modalities, the one that drives R to 1 first."""
        first, second = self.scores.modalities
        return first, second
