"""The removal study on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.studies.class_removal.config import RemovalOnRun
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject


def _run(subject: Subject, config: RemovalOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.class_removal.study import removal

    del work
    return removal(
        subject.image,
        subject.text,
        subject.column(config.label),
        subject.mds,
        groups=subject.groups(),
        source=source,
        config=config,
    )


def _inputs(subject: Subject, config: RemovalOnRun) -> Mapping[str, Any]:
    del subject, config  # labels and groups are part of the representation
    return {}


STUDY = Study(
    name="removal",
    summary="What a classifier loses without the features of one class, beside controls of equal size.",
    config=RemovalOnRun,
    on_run=_run,
    inputs=_inputs,
    columns=lambda config: [config.label],
)
