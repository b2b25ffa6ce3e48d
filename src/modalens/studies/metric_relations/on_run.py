"""The study of metrics on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.studies.inputs import file_digest, file_digests, values_digest
from modalens.studies.metric_relations.config import MetricsConfig, MetricsOnRun
from modalens.studies.options import settings_of
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject


def _run(subject: Subject, config: MetricsOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.metric_relations.ratings import read_ratings
    from modalens.studies.metric_relations.study import metric_agreement

    del work
    distinct = subject.judged_samples()
    groups, rows = subject.groups(), distinct.distinct
    scores = subject.name_scores() or {}
    return metric_agreement(
        subject.image,
        subject.text,
        subject.mds,
        (
            subject.store.image.pick(subject.rows[rows["image"]]),
            subject.store.text.pick(subject.rows[rows["text"]]),
        ),
        (distinct.embeddings["image"], distinct.embeddings["text"]),
        groups=groups,
        sample_groups=None if groups is None else (groups[rows["image"]], groups[rows["text"]]),
        scores={**scores, **read_ratings(config.answers, config.key, subject.mds)},
        source=source,
        config=MetricsConfig(**settings_of(config, MetricsConfig)),
    )


def _inputs(subject: Subject, config: MetricsOnRun) -> Mapping[str, Any]:
    names = subject.name_scores() or {}
    return {
        "judges": subject.judges(),
        "names": {name: values_digest(values) for name, values in names.items()},
        "answers": file_digests(config.answers),
        "key": file_digest(config.key),
    }


STUDY = Study(
    name="metric-agreement",
    summary="How dominance and Mono relate to other people's metrics, to scores of names and to people's answers.",
    config=MetricsOnRun,
    on_run=_run,
    inputs=_inputs,
)
