"""The gender study on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modalens.errors import ModalensError
from modalens.studies.attribute_probing.config import GenderOnRun
from modalens.studies.inputs import model_digest
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject

_LABELS = "labels"


def _run(subject: Subject, config: GenderOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.attribute_probing.study import gender

    store = subject.store
    tested = np.zeros(len(store), dtype=bool)
    tested[subject.rows] = True
    pictured = subject.mds.modalities[0] == "image"
    return gender(
        store.image,
        store.text,
        _labels(subject, config, work),
        subject.mds,
        tested=None if tested.all() else tested,
        groups=subject.all_groups(),
        captions=subject.whole_column("caption") if "caption" in store.columns else None,
        pictures=subject.pictures if pictured else None,
        caveats=_caveats(subject, config),
        source=source,
        config=config,
    )


def _labels(subject: Subject, config: GenderOnRun, work: Path) -> np.ndarray:
    if config.classifier is None:
        return subject.whole_column(config.attribute)
    if subject.mds.modalities[0] != "image":
        raise ModalensError(
            f"The classifier {config.classifier} sees images and these pairs are of {subject.mds.modalities[0]} and "
            "text; leave it out, so that labels come from the metadata."
        )
    from modalens.studies.attribute_probing.labels import labels_by_classifier

    return labels_by_classifier(
        subject, config.classifier, config.attribute, config.threshold, work / _LABELS
    )


def _caveats(subject: Subject, config: GenderOnRun) -> list[str]:
    """Where the labels come from, and what that means."""
    from modalens.studies.attribute_probing.attributes import CAVEATS

    if config.classifier is not None:
        sentence = (
            f"{config.attribute.capitalize()} is what {config.classifier} says of the images with a probability over "
            f"{config.threshold:g}: the study tells whom that classifier calls so, right or wrong."
        )
        return [sentence]
    manifest = subject.store.manifest
    origin = "" if manifest is None else str(manifest.source.get("source", ""))
    return [text for name, text in CAVEATS.items() if name == origin]


def _inputs(subject: Subject, config: GenderOnRun) -> Mapping[str, Any]:
    del subject
    return {} if config.classifier is None else {"classifier": model_digest(config.classifier)}


STUDY = Study(
    name="gender",
    summary=(
        "How well an attribute of the pairs is told from their features without one class, and which samples and "
        "words lean to a class."
    ),
    config=GenderOnRun,
    on_run=_run,
    inputs=_inputs,
    called=lambda config: str(config.attribute),
)
