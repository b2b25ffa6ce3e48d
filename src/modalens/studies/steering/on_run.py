"""The steering study on a run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from modalens.errors import InputError
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.steering.config import SteerOnRun
from modalens.studies.subject import Subject

_CAPTION = "caption"


def _run(subject: Subject, config: SteerOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.steering.study import steer

    del work
    directions = embeddings = None
    model = subject.model
    # A projector's features have no way back: they are steered as they are.
    if model is not None and model.has_decoder and subject.embeddings is not None:
        image, text = (
            (model.directions(side) * model.standardiser(side)[1]).cpu().numpy() for side in ("image", "text")
        )
        directions = (image, text)
        embeddings = (
            subject.embeddings.image.pick(subject.rows),
            subject.embeddings.text.pick(subject.rows),
        )
    labels, said = _labels(subject, config)
    # Many small products: threads within each would only wait for one another.
    with threadpool_limits(1):
        found = steer(
            subject.image,
            subject.text,
            labels,
            subject.mds,
            directions=directions,
            embeddings=embeddings,
            also={name: subject.column(name) for name in config.also},
            groups=subject.groups(),
            source=source,
            config=config,
        )
    return replace(found, statements=[*found.statements, *said])


def _labels(subject: Subject, config: SteerOnRun) -> tuple[np.ndarray, list[str]]:
    """One label a pair, (n,) objects, and a sentence where these are no column's."""
    from modalens.studies.steering.words import caption_labels

    columns = subject.store.columns
    if config.label in columns:
        return subject.column(config.label), []
    if _CAPTION not in columns:
        raise InputError(
            f"The pairs have neither a column {config.label!r} nor captions; name a column of labels with --label."
        )
    captions = subject.column(_CAPTION)
    texts = [each if isinstance(each, str) else "" for each in captions]
    said = f"The pairs have no column {config.label!r}: the labels are the commonest words of their captions."
    return caption_labels(texts, config.labels), [said]


def _inputs(subject: Subject, config: SteerOnRun) -> Mapping[str, Any]:
    del subject, config  # labels, groups and captions are part of the representation
    return {}


STUDY = Study(
    name="steer",
    summary="What turning features and classes up moves, beside random directions and features.",
    config=SteerOnRun,
    on_run=_run,
    inputs=_inputs,
    columns=lambda config: list(config.also),
)
