"""The study of what the classes differ by on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.studies.class_characteristics.config import PropertiesConfig
from modalens.studies.inputs import values_digest
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject


def _run(subject: Subject, config: PropertiesConfig, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.class_characteristics.study import class_properties

    del work
    return class_properties(
        subject.image,
        subject.text,
        subject.mds,
        similarity=subject.similarity(),
        source=source,
        config=config,
    )


def _inputs(subject: Subject, config: PropertiesConfig) -> Mapping[str, Any]:
    del config
    similarity = subject.similarity() or {}
    return {"similarity": {side: values_digest(values) for side, values in similarity.items()}}


STUDY = Study(
    name="class-properties",
    summary="What tells the classes apart beside their score: information, correlation, spread and firing, beside "
    "random classes.",
    config=PropertiesConfig,
    on_run=_run,
    inputs=_inputs,
)
