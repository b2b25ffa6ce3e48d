"""The study of m on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject
from modalens.studies.top_sample_count.config import TopMConfig


def _run(subject: Subject, config: TopMConfig, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.top_sample_count.study import Scored, top_m

    del work
    samples = subject.judged_samples()
    groups = subject.groups()
    rows = samples.distinct
    return top_m(
        {
            each.name: Scored(
                each.store.image.pick(each.rows[rows["image"]]),
                each.store.text.pick(each.rows[rows["text"]]),
                each.mds,
                each.baseline_of,
            )
            for each in (subject, *subject.siblings())
        },
        (samples.embeddings["image"], samples.embeddings["text"]),
        groups=None if groups is None else (groups[rows["image"]], groups[rows["text"]]),
        source=source,
        config=config,
    )


def _inputs(subject: Subject, config: TopMConfig) -> Mapping[str, Any]:
    del config
    return {
        "judges": subject.judges(),
        "representations": {each.name: dict(each.about()) for each in subject.siblings()},
    }


STUDY = Study(
    name="top-m",
    summary="Whether EmbSim, WinRate, Mono and fidelity, and the ranking of representations by them, hang on m.",
    config=TopMConfig,
    on_run=_run,
    inputs=_inputs,
    together=True,
)
