"""The gender study on a run."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modalens.errors import InputError, ModalensError
from modalens.pairs.modality import many
from modalens.studies.attribute_probing.config import GenderOnRun
from modalens.studies.inputs import model_digest
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject
from modalens.towers.abilities import Abilities

if TYPE_CHECKING:
    from modalens.studies.attribute_probing.study import Encoded

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
        concepts=None if config.concept is None else subject.whole_column(config.concept),
        pictures=subject.pictures if pictured else None,
        caveats=_caveats(subject, config),
        encoded=_encoded(subject, config, work) if config.published else None,
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


def _encoded(subject: Subject, config: GenderOnRun, work: Path) -> "dict[str, Encoded]":
    """Every pair's samples through the separate encoder of each side."""
    from modalens.studies.attribute_probing.study import Encoded
    from modalens.towers.samples import load_sample_embedder

    found = {}
    for modality, name in zip(subject.mds.modalities, _encoders(subject.mds.modalities, config), strict=True):
        embedder = load_sample_embedder(name, modality)
        folder = work / f"encoded-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        found[modality] = Encoded(name, subject.embed_samples(embedder, folder))
    return found


def _encoders(modalities: tuple[str, str], config: GenderOnRun) -> list[str]:
    """Names of the separate encoders, by side."""
    from modalens.pairs.modality import OWN, find_modality

    names = []
    asked = (config.image_embedder, config.text_embedder)
    for modality, option, given in zip(modalities, ("image", "text"), asked, strict=True):
        name = given or find_modality(modality).judge
        if name == OWN:
            raise InputError(
                f"The papers' way compares {many(modality)} in the space of a separate encoder; name one with "
                f"--{option}-embedder, or leave --published out."
            )
        names.append(name)
    return names


def _caveats(subject: Subject, config: GenderOnRun) -> list[str]:
    """Where the labels come from, and what that means."""
    from modalens.studies.attribute_probing.attributes import CAVEATS

    if config.classifier is not None:
        sentence = (
            f"The attribute {config.attribute} is what {config.classifier} says of the images with a probability over "
            f"{config.threshold:g}: the study tells whom that classifier calls so, right or wrong."
        )
        return [sentence]
    manifest = subject.store.manifest
    origin = "" if manifest is None else str(manifest.source.get("source", ""))
    return [text for name, text in CAVEATS.items() if name == origin]


def _inputs(subject: Subject, config: GenderOnRun) -> Mapping[str, Any]:
    found = {} if config.classifier is None else {"classifier": model_digest(config.classifier)}
    if config.published:
        found["encoders"] = {
            name: model_digest(name.removeprefix("vlm:"))
            for name in _encoders(subject.mds.modalities, config)
        }
    return found


def _check_early(config: GenderOnRun, encoder: Abilities | None) -> None:
    if config.published and encoder is not None:
        from modalens.towers.samples import check_sample_embedder

        for modality, name in zip(encoder.modalities, _encoders(encoder.modalities, config), strict=True):
            check_sample_embedder(name, modality)


STUDY = Study(
    name="gender",
    summary=(
        "How well an attribute of the pairs is told from their features without one class, and which samples and "
        "words lean to a class."
    ),
    config=GenderOnRun,
    on_run=_run,
    inputs=_inputs,
    check_early=_check_early,
    called=lambda config: str(config.attribute),
    columns=lambda config: [
        *([config.attribute] if config.classifier is None else []),
        *([] if config.concept is None else [config.concept]),
    ],
)
