"""The adversarial study on a run: its own encoder and pairs are attacked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.studies.adversarial_images.config import SELF, AdversarialOnRun
from modalens.studies.inputs import file_digest, model_digest
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject


def _run(subject: Subject, config: AdversarialOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.adversarial_images.canaries import canaries, load_requests
    from modalens.studies.adversarial_images.cases import choose_cases
    from modalens.studies.adversarial_images.features import differentiable_features
    from modalens.studies.adversarial_images.judges import judge_named
    from modalens.studies.adversarial_images.study import adversarial
    from modalens.studies.adversarial_images.victims import victim_named

    vlm, pairs = subject.vlm(), list(subject.pairs())
    # The demo encoder has never seen a letter: it is shown pictures of what is asked for.
    wanted = canaries() if config.requests is None else load_requests(config.requests)
    cases = choose_cases(pairs, wanted, config.images, pictured=vlm.name.startswith("demo"), seed=config.seed)
    labels = subject.column(config.label).astype(str) if config.label in subject.store.columns else None
    return adversarial(
        vlm,
        cases.images,
        cases.requests,
        subject.image[:],
        subject.mds,
        victim_named(config.victim, vlm, [pair.text for pair in pairs]),
        judge_named(config.judge),
        targets=cases.targets,
        encode=differentiable_features(subject.model),
        labels=labels,
        work=work,
        source=source,
        config=config,
    )


def _inputs(subject: Subject, config: AdversarialOnRun) -> Mapping[str, Any]:
    del subject
    return {
        "requests_sha256": file_digest(config.requests),
        "font_sha256": file_digest(config.font),
        "victim": None if config.victim == SELF else model_digest(config.victim),
    }


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
)
