"""Small but real results to report on."""

import dataclasses
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from modalens.dominance import ESTIMATORS, modality_dominance, modality_gap
from modalens.dominance.retrieval import measure_retrieval
from modalens.errors import ModalensError
from modalens.report import EncoderResult, ReportData, Sample
from tests.interpreted import make_interpreted


def make_encoder(
    name: str = "Main",
    *,
    n: int = 80,
    d: int = 48,
    offset: float = 0.3,
    noise: float = 1.0,
    seed: int = 0,
    resamples: int = 40,
    modalities: tuple[str, str] = ("image", "text"),
    rule: str = "mu_sigma",
    non_negative: bool = False,
    estimators: tuple[str, ...] = tuple(ESTIMATORS),
    with_retrieval: bool = True,
    note: str = "An encoder made for a test.",
    isolates: str = "",
) -> EncoderResult:
    """Score Gaussian pairs whose two sides differ in scale by feature, and lie ``offset`` apart."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, d))
    scale = np.exp(rng.normal(size=d) * 0.6)
    image = (shared + noise * rng.normal(size=(n, d))) * scale + offset
    text = (shared + noise * rng.normal(size=(n, d))) / scale - offset
    if non_negative:
        image, text = np.maximum(image, 0), np.maximum(text, 0)
        image[:, 0] = text[:, 0] = 0  # a dead feature
    dominance = {}
    for estimator in estimators:
        try:
            dominance[estimator] = modality_dominance(
                image, text, estimator, rule, resamples=resamples, modalities=modalities
            )
        except ModalensError as error:
            dominance[estimator] = str(error)
    few = slice(0, 256)  # the classifier behind separability is slow on many features
    gap = modality_gap(image[:, few], text[:, few], resamples=resamples, modalities=modalities)
    found = measure_retrieval(image, text) if with_retrieval else None
    said = f"the {name[0].lower()}{name[1:]}" if name.endswith(" twin") else ""
    return EncoderResult(name, note, dominance, gap, found, isolates, said=said)


def thumbnail(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def encoder() -> Callable[..., EncoderResult]:
    return make_encoder


@pytest.fixture(scope="session")
def data() -> ReportData:
    return ReportData(
        title="A test",
        summary="80 pairs of nothing in particular.",
        main=make_encoder("Main"),
        baselines=[
            make_encoder("Untrained twin", offset=0.25, seed=1, isolates="training"),
            make_encoder("Closed twin", offset=0.0, seed=2, with_retrieval=False),
        ],
        provenance={
            "command": "modalens demo",
            "model": {"name": "demo", "sizes": [224, 256], "parts": {"image": None}, "list": [{"a": 1}]},
        },
        skipped=[("bad", "The caption is empty.")],
        attributions=["OpenMoji (https://openmoji.org), CC BY-SA 4.0."],
        caveats=["Near chance on photos."],
        samples=[Sample("a", thumbnail(), "a square"), Sample("b", thumbnail("JPEG"), "another")],
    )


@pytest.fixture(scope="session")
def meant(data: ReportData) -> ReportData:
    """Two representations of the main encoder, one of the first baseline, none of the second."""
    untrained, closed = data.baselines
    main = dataclasses.replace(
        data.main,
        interpreted=[
            make_interpreted("Raw", meaningful=False),
            make_interpreted("SAE", seed=1, steps=(1, 2, 3)),
        ],
    )
    untrained = dataclasses.replace(
        untrained, interpreted=[make_interpreted("SAE", meaningful=False, seed=2, steps=(1, 2))]
    )
    return dataclasses.replace(data, main=main, baselines=[untrained, closed])
