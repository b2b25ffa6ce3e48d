"""The study of language on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.errors import InputError
from modalens.studies.caption_language.config import LanguageConfig, LanguageOnRun
from modalens.studies.inputs import values_digest
from modalens.studies.options import settings_of
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject
from modalens.towers.abilities import Abilities


def _run(subject: Subject, config: LanguageOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.caption_language.study import language

    del work
    if config.caption not in subject.store.columns:
        raise InputError(
            f"The run's pairs have no column {config.caption!r} of captions; name one of "
            f"{', '.join(subject.store.columns) or 'a store with metadata'} with --caption."
        )
    return language(
        subject.image,
        subject.text,
        subject.mds,
        subject.column(config.caption),
        groups=subject.groups(),
        verdicts=subject.verdicts(),
        source=source,
        config=LanguageConfig(**settings_of(config, LanguageConfig)),
    )


def _inputs(subject: Subject, config: LanguageOnRun) -> Mapping[str, Any]:
    del config
    return {"verdicts": values_digest(subject.verdicts())}


def _check_early(config: LanguageOnRun, encoder: Abilities | None) -> None:
    from modalens.studies.caption_language.words import tagger

    del config, encoder
    tagger()


STUDY = Study(
    name="language",
    summary="Which kinds of words, and which words, go with activity in features of one class or of both sides.",
    config=LanguageOnRun,
    on_run=_run,
    inputs=_inputs,
    check_early=_check_early,
    columns=lambda config: [config.caption],
)
