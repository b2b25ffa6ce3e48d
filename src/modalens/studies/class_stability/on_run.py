"""The stability study on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.studies.class_stability.config import StabilityConfig
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject


def _run(subject: Subject, config: StabilityConfig, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.class_stability.study import Retrained, stability

    del work
    others = {}
    # Only features with a decoder can be recognised in another training.
    if subject.directions is not None and subject.embeddings is not None:
        for name, model in subject.retrained():
            image, text = (
                model.encode(getattr(subject.embeddings, side).pick(subject.rows), side)
                for side in ("image", "text")
            )
            others[name] = Retrained(image, text, model.W_dec.numpy())
    return stability(
        subject.image,
        subject.text,
        groups=subject.groups(),
        decoder=subject.directions,
        others=others,
        modalities=subject.mds.modalities,
        source=source,
        config=config,
    )


def _inputs(subject: Subject, config: StabilityConfig) -> Mapping[str, Any]:
    del config
    if subject.directions is None or subject.embeddings is None:
        return {"retrained": {}}
    return {"retrained": {name: model.card()["weights_sha256"] for name, model in subject.retrained()}}


STUDY = Study(
    name="stability",
    summary="How the classes hold across resamples, estimators, halves of the data, seeds and normalisation.",
    config=StabilityConfig,
    on_run=_run,
    inputs=_inputs,
)
