"""The study of closing the gap on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from modalens.studies.gap_closing.config import CloseGapOnRun
from modalens.studies.inputs import values_digest
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject


def _run(subject: Subject, config: CloseGapOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.gap_closing.study import close_gap

    del work
    decode = subject.model.decode if subject.model is not None and subject.model.has_decoder else None
    embeddings = None
    if decode is not None and subject.embeddings is not None:
        embeddings = (
            subject.embeddings.image.pick(subject.rows),
            subject.embeddings.text.pick(subject.rows),
        )
    columns, images = subject.store.columns, subject.store.image_numbers
    # Many small fits: threads within each would only wait for one another.
    with threadpool_limits(1):
        return close_gap(
            subject.image,
            subject.text,
            subject.mds,
            decode=decode,
            embeddings=embeddings,
            verdict=subject.verdicts(),
            labels=subject.column(config.label) if config.label in columns else None,
            groups=subject.groups(),
            image_ids=None if images is None else images[subject.rows],
            source=source,
            config=config,
        )


def _inputs(subject: Subject, config: CloseGapOnRun) -> Mapping[str, Any]:
    del config
    return {"verdicts_sha256": values_digest(subject.verdicts())}


STUDY = Study(
    name="close-gap",
    summary="What becomes of the gap and of retrieval without one-sided features, beside controls.",
    config=CloseGapOnRun,
    on_run=_run,
    inputs=_inputs,
)
