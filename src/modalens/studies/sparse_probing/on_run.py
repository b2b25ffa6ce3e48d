"""The bench of dictionaries on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.sparse_probing.config import DictionaryBenchOnRun
from modalens.studies.subject import Subject

_BLOCK = 512


def _run(
    subject: Subject, config: DictionaryBenchOnRun, work: Path, source: Mapping[str, Any]
) -> StudyResult:
    from modalens.studies.sparse_probing.study import dictionary_bench

    del work
    embeddings = directions = None
    if subject.directions is not None and subject.embeddings is not None:
        embeddings = (
            subject.embeddings.image.pick(subject.rows),
            subject.embeddings.text.pick(subject.rows),
        )
        number = len(subject.mds.score)
        directions = (_directions(subject.model, number, "image"), _directions(subject.model, number, "text"))
    # Many small fits: threads within each would only wait for one another.
    with threadpool_limits(1):
        return dictionary_bench(
            subject.image,
            subject.text,
            {column: subject.column(column) for column in config.label},
            subject.mds,
            embeddings=embeddings,
            directions=directions,
            groups=subject.groups(),
            source=source,
            config=config,
        )


def _directions(model: Any, number: int, side: str) -> np.ndarray:
    """What a unit of each feature adds to embeddings, whatever scale the dictionary decodes to."""
    none = model.decode(sp.csr_array((1, number), dtype=np.float32), side).astype(np.float64)
    every = sp.eye_array(number, dtype=np.float32, format="csr")
    return np.concatenate(
        [model.decode(every[start : start + _BLOCK], side) - none for start in range(0, number, _BLOCK)]
    )


def _inputs(subject: Subject, config: DictionaryBenchOnRun) -> Mapping[str, Any]:
    del subject, config  # labels, groups and decoders are part of the representation
    return {}


STUDY = Study(
    name="dictionary-bench",
    summary="What a few features say of labels: sparse probes, splitting and absorption, targeted perturbation, and "
    "whether both modalities pick the same features.",
    config=DictionaryBenchOnRun,
    on_run=_run,
    inputs=_inputs,
    columns=lambda config: list(config.label),
)
