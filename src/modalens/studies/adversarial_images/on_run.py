"""The adversarial study on a run: its own encoder and pairs are attacked."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modalens.errors import InputError
from modalens.studies.adversarial_images.config import REQUEST, SELF, AdversarialOnRun
from modalens.studies.inputs import file_digest, model_digest
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject
from modalens.towers.abilities import Abilities

if TYPE_CHECKING:
    from modalens.studies.adversarial_images.features import StudiedFeatures


def _run(subject: Subject, config: AdversarialOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.adversarial_images.canaries import canaries, load_requests, repeating
    from modalens.studies.adversarial_images.cases import choose_cases, read_image, reads_writing
    from modalens.studies.adversarial_images.judges import judge_named
    from modalens.studies.adversarial_images.study import adversarial
    from modalens.studies.adversarial_images.victims import victim_named

    wanted = canaries() if config.requests is None else load_requests(config.requests)
    base = None if config.base_image is None else read_image(config.base_image)
    judge = judge_named(config.judge)
    vlm, pairs = subject.vlm(), list(subject.pairs())
    cases = choose_cases(
        pairs,
        repeating(wanted) if config.prompt == REQUEST else wanted,
        config.images,
        pictured=not reads_writing(vlm),
        base=base,
        seed=config.seed,
    )
    result = adversarial(
        vlm,
        cases.images,
        cases.requests,
        [_studied(each, config) for each in (subject, *map(subject.beside, config.beside))],
        victim_named(config.victim, vlm, [pair.text for pair in pairs]),
        judge,
        targets=cases.targets,
        work=work,
        source=source,
        config=config,
    )
    return replace(result, name=_called(config))


def _called(config: AdversarialOnRun) -> str:
    """One image with every request stands beside images of their own, and not in their place."""
    return "adversarial" if config.base_image is None else "adversarial-one-image"


def _studied(subject: Subject, config: AdversarialOnRun) -> "StudiedFeatures":
    from modalens.studies.adversarial_images.features import StudiedFeatures, differentiable_features

    labels = subject.column(config.label) if config.label in subject.store.columns else None
    encode = differentiable_features(subject.model)
    return StudiedFeatures(subject.image[:], subject.mds, encode, labels, subject.name)


def _inputs(subject: Subject, config: AdversarialOnRun) -> Mapping[str, Any]:
    return {
        "requests_sha256": file_digest(config.requests),
        "font_sha256": file_digest(config.font),
        "base_image_sha256": file_digest(config.base_image),
        "victim": None if config.victim == SELF else model_digest(config.victim),
        "beside": {name: subject.beside(name).about() for name in config.beside},
    }


def _check_early(config: AdversarialOnRun, encoder: Abilities | None) -> None:
    from modalens.studies.adversarial_images.canaries import canaries, load_requests
    from modalens.studies.adversarial_images.cases import read_image
    from modalens.studies.adversarial_images.judges import judge_named
    from modalens.studies.adversarial_images.servers import server_named
    from modalens.studies.adversarial_images.text_images import write_text
    from modalens.studies.adversarial_images.victims import is_server
    from modalens.towers.differentiable import DIFFERENTIABLE

    if encoder is not None and not encoder.differentiable:
        raise InputError(f"No gradients reach the pixels of this model; take {DIFFERENTIABLE}.")
    judge = judge_named(config.judge)
    if is_server(config.victim):
        server_named(config.victim)
    for request in canaries() if config.requests is None else load_requests(config.requests):
        judge.require(request)
    if config.base_image is not None:
        read_image(config.base_image)
    if config.font is not None:
        write_text("A", font=config.font)


STUDY = Study(
    name="adversarial",
    summary=(
        "Requests smuggled into images, and how far aligning the image on one class of features takes them out again."
    ),
    config=AdversarialOnRun,
    on_run=_run,
    inputs=_inputs,
    modalities=("image",),
    one_representation=True,
    check_early=_check_early,
    called=_called,
)
