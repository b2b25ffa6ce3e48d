"""Run studies on every representation of a run, and of its baselines, and keep their results."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from modalens.errors import ModalensError
from modalens.features import SparseAutoencoder
from modalens.features.sharing import load_features
from modalens.runs.galleries import pictures_of
from modalens.runs.interpreting import load_interpretation
from modalens.runs.layout import LearnedFeatures, RunFolder
from modalens.runs.representations import Representation, representations
from modalens.store import PairStore
from modalens.store.lock import alone_in
from modalens.studies.adversarial_images.on_run import EXACT, SELF, study_adversarial
from modalens.studies.attribute_probing.attributes import CAVEATS
from modalens.studies.attribute_probing.labels import labels_by_classifier
from modalens.studies.attribute_probing.study import attributes
from modalens.studies.class_removal.study import removal
from modalens.studies.class_stability.study import Retrained, stability
from modalens.studies.gap_closing.study import close_gap
from modalens.studies.result import RESULT_NAME, StudyResult
from modalens.studies.text_to_image_control.on_run import study_text_to_image
from modalens.towers.classifiers import THRESHOLD
from modalens.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyConfig:
    """What studies need to know beyond the run.

    Attributes
    ----------
    label
        Metadata column that classifiers read.
    attribute
        Metadata column that the gender study tells apart.
    classifier, threshold
        Image classifier that says the attribute instead of the metadata, by hub id or folder, and the probability
        over which it is believed (0.9 as published).
    rule
        Class rule of the index sets.
    draws
        Random control sets.
    seed
        Seed of every draw.
    representation
        Study this one alone. By default all are studied, except that the adversarial and the text-to-image study,
        which take minutes, are done on ``sae`` where there is one and else on the embeddings.
    victim, judge, requests, images, runs
        For the adversarial study: see :func:`modalens.studies.adversarial_images.on_run.study_adversarial`.
    prompt, generator, references
        For the text-to-image study: see :func:`modalens.studies.text_to_image_control.on_run.study_text_to_image`.
    """

    label: str = "category"
    attribute: str = "gender"
    classifier: str | None = None
    threshold: float = THRESHOLD
    rule: str = "twofold"
    draws: int = 20
    seed: int = 0
    representation: str | None = None
    prompt: str = "an animal"
    generator: str = SELF
    references: tuple[str, ...] = ()
    victim: str = SELF
    judge: str = EXACT
    requests: str | None = None
    images: int = 4
    runs: int = 3


def _removal(each: Representation, config: StudyConfig, source: Mapping[str, Any], work: Path) -> StudyResult:
    del work
    return removal(
        each.image,
        each.text,
        each.column(config.label),
        each.mds,
        rule=config.rule,
        draws=config.draws,
        groups=each.groups(),
        seed=config.seed,
        source=source,
    )


def _stability(
    each: Representation, config: StudyConfig, source: Mapping[str, Any], work: Path
) -> StudyResult:
    del work
    others = {}
    # Only features with a decoder can be recognised in another training.
    if each.directions is not None and each.embeddings is not None:
        for where in LearnedFeatures(each.folder).seeds():
            model = load_features(where.folder)
            if isinstance(model, SparseAutoencoder):
                image, text = (
                    model.encode(getattr(each.embeddings, side).pick(each.rows), side)
                    for side in ("image", "text")
                )
                others[f"seed {where.name}"] = Retrained(image, text, model.W_dec.numpy())
    return stability(
        each.image,
        each.text,
        groups=each.groups(),
        decoder=each.directions,
        others=others,
        seed=config.seed,
        source=source,
    )


def _gender(each: Representation, config: StudyConfig, source: Mapping[str, Any], work: Path) -> StudyResult:
    del work
    store = each.store
    tested = np.zeros(len(store), dtype=bool)
    tested[each.rows] = True
    captions = store.read_metadata(["caption"])["caption"].to_numpy() if "caption" in store.columns else None
    manifest = store.manifest
    origin = "" if manifest is None else str(manifest.source.get("source", ""))
    return attributes(
        store.image,
        store.text,
        each.whole_column(config.attribute),
        each.mds,
        attribute=config.attribute,
        rule=config.rule,
        tested=None if tested.all() else tested,
        groups=each.all_groups(),
        captions=captions,
        pictures=lambda rows: pictures_of(store, store.ids[np.asarray(rows)]),
        draws=config.draws,
        seed=config.seed,
        caveats=_caveats(config, origin),
        source=source,
    )


def _caveats(config: StudyConfig, origin: str) -> list[str]:
    """Where the labels come from, and what that means."""
    if config.classifier is not None:
        sentence = (
            f"{config.attribute.capitalize()} is what {config.classifier} says of the images with a probability over "
            f"{config.threshold:g}: the study tells whom that classifier calls so, right or wrong."
        )
        return [sentence]
    return [text for name, text in CAVEATS.items() if name == origin]


def _close_gap(
    each: Representation, config: StudyConfig, source: Mapping[str, Any], work: Path
) -> StudyResult:
    del work
    model = None if each.learned is None else each.learned.model
    autoencoder = model if isinstance(model, SparseAutoencoder) else None  # a projector has no decoder
    embeddings = None
    if autoencoder is not None and each.embeddings is not None:
        embeddings = (each.embeddings.image.pick(each.rows), each.embeddings.text.pick(each.rows))
    interpretation = load_interpretation(each)
    columns = each.store.columns
    # Many small fits: threads within each would only wait for one another.
    with threadpool_limits(1):
        return close_gap(
            each.image,
            each.text,
            each.mds,
            decode=None if autoencoder is None else autoencoder.decode,
            embeddings=embeddings,
            verdict=None if interpretation is None else interpretation.bridges.verdict,
            labels=each.column(config.label) if config.label in columns else None,
            groups=each.groups(),
            image_ids=each.column("image_path") if "image_path" in columns else None,
            rule=config.rule,
            draws=config.draws,
            seed=config.seed,
            source=source,
        )


def _adversarial(
    each: Representation, config: StudyConfig, source: Mapping[str, Any], work: Path
) -> StudyResult:
    return study_adversarial(
        each,
        source,
        work,
        victim=config.victim,
        judge=config.judge,
        requests=None if config.requests is None else Path(config.requests),
        images=config.images,
        runs=config.runs,
        rule=config.rule,
        labels=each.column(config.label).astype(str) if config.label in each.store.columns else None,
        seed=config.seed,
    )


def _text_to_image(
    each: Representation, config: StudyConfig, source: Mapping[str, Any], work: Path
) -> StudyResult:
    return study_text_to_image(
        each,
        source,
        work,
        prompt=config.prompt,
        generator=config.generator,
        references=[Path(name) for name in config.references],
        rule=config.rule,
        draws=config.draws,
        seed=config.seed,
    )


# What is done with a run's own encoder says nothing of its baselines.
OWN_ONLY = ("adversarial", "text-to-image")

# Studies of one representation at a time; each gets a folder for what it keeps between two runs.
STUDIES: dict[str, Callable[[Representation, StudyConfig, Mapping[str, Any], Path], StudyResult]] = {
    "adversarial": _adversarial,
    "close-gap": _close_gap,
    "gender": _gender,
    "removal": _removal,
    "stability": _stability,
    "text-to-image": _text_to_image,
}


def run_study(
    run: RunFolder,
    name: str,
    config: StudyConfig | None = None,
    *,
    out: Path | None = None,
    baselines: bool = True,
) -> dict[str, StudyResult]:
    """Run a study on every representation of a run; what was done in the same way before is kept.

    Parameters
    ----------
    run
        The run.
    name
        One of :data:`STUDIES`.
    config
        What the study needs to know.
    out
        Folder of the results, one folder a representation in it; ``studies/NAME`` in the run by default.
    baselines
        Whether to run it on the run's baselines too (into their own ``studies/NAME``).

    Returns
    -------
    dict
        The results of the run itself by representation.

    Raises
    ------
    ModalensError
        If there is no such study, or the run lacks what it needs.
    """
    if name not in STUDIES:
        raise ModalensError(f"There is no study {name!r}; there are {', '.join(STUDIES)}.")
    config = config or StudyConfig()
    called = config.attribute if name == "gender" else name
    own = representations(run)
    own = _chosen(name, own, config.representation)
    folder = run.study(called) if out is None else out
    with alone_in(folder):
        given = _labels(own[0].store, config, folder) if name == "gender" else {}
        own = [replace(each, given=given) for each in own]
        found, failed = _study_all(name, own, config, folder)
        if not found:
            raise next(iter(failed.values()))
        title = next(iter(found.values())).title
        _note_failures(called, title, failed, folder)
        for kind, baseline in run.baselines() if baselines and name not in OWN_ONLY else ():
            logger.info("Study %s of the baseline %s", name, kind)
            others = representations(baseline, own[0].scores.config)
            others = [replace(each, given=given) for each in others if each.name in {one.name for one in own}]
            _, failed = _study_all(name, others, config, baseline.study(called))
            _note_failures(called, title, failed, baseline.study(called))
    return found


def _labels(store: PairStore, config: StudyConfig, folder: Path) -> dict[str, np.ndarray]:
    """What a classifier says of the attribute, if one is asked; the pairs of baselines are the same."""
    if config.classifier is None:
        return {}
    found = labels_by_classifier(
        store, config.classifier, config.attribute, config.threshold, folder / "labels"
    )
    return {config.attribute: found}


def _chosen(name: str, own: list[Representation], wanted: str | None) -> list[Representation]:
    """The representations to study."""
    known = {each.name: each for each in own}
    if wanted is None:
        return [known.get("sae", own[0])] if name in OWN_ONLY else own
    if wanted not in known:
        raise ModalensError(f"The run has no features {wanted!r}; it has {', '.join(known)}.")
    return [known[wanted]]


def _study_all(
    name: str, found: Sequence[Representation], config: StudyConfig, folder: Path
) -> tuple[dict[str, StudyResult], dict[str, ModalensError]]:
    """Results by representation, and why others could not be studied (a class without members, say)."""
    results, failed = {}, {}
    for each in found:
        logger.info("Study %s of %s", name, each.name)
        try:
            results[each.name] = _kept_or_made(name, each, config, folder / each.name)
        except ModalensError as error:
            failed[each.name] = error
    return results, failed


def _note_failures(name: str, title: str, failed: Mapping[str, ModalensError], folder: Path) -> None:
    """Keep a result without tables that says why there are none."""
    for kind, error in failed.items():
        logger.warning("%s was not studied: %s", kind, error)
        StudyResult(name.replace("_", "-"), title, {}, [f"Not studied: {error}"], {}).save(folder / kind)


def _kept_or_made(name: str, each: Representation, config: StudyConfig, folder: Path) -> StudyResult:
    source = {"modalens": __version__, "study": vars(config), **each.about()}
    source = json.loads(json.dumps(source))  # as a file gives it back
    if (folder / RESULT_NAME).exists():
        result = StudyResult.load(folder)
        if result.source == source:
            return result
    result = STUDIES[name](each, config, source, folder / "work")
    result.save(folder)
    return result
