"""The study of known gaps on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.studies.gap_validation.config import KnownGapConfig
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject


def _run(subject: Subject, config: KnownGapConfig, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.gap_validation.study import known_gap

    del work
    return known_gap(
        subject.image,
        subject.text,
        groups=subject.groups(),
        modalities=subject.mds.modalities,
        source=source,
        config=config,
    )


def _inputs(subject: Subject, config: KnownGapConfig) -> Mapping[str, Any]:
    del subject, config
    return {}


STUDY = Study(
    name="known-gap",
    summary="Whether L2M, RMG, the spread of R and class counts follow a gap that is closed by known means.",
    config=KnownGapConfig,
    on_run=_run,
    inputs=_inputs,
    together=True,
)
