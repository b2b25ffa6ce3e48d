"""The text-to-image study on a run: a prompt is moved on the features of one representation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modalens.errors import ModalensError
from modalens.studies.inputs import file_digests, model_digest
from modalens.studies.registry import Study
from modalens.studies.result import StudyResult
from modalens.studies.subject import Subject
from modalens.studies.text_to_image_control.config import SELF, TextToImageOnRun
from modalens.towers.abilities import Abilities

_UNCLIP = "unclip"


def _run(subject: Subject, config: TextToImageOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.text_to_image_control.study import text_to_image
    from modalens.towers.samples import load_sample_embedder

    if subject.model is not None and not subject.model.has_decoder:
        raise ModalensError(
            "A projector's features have no way back to embeddings; study raw or an autoencoder."
        )
    judge = load_sample_embedder(config.judge, "image")
    chosen, references = _references(subject, config)
    prompted = _prompted(subject, config, chosen)
    return text_to_image(prompted, references, subject.mds, judge, work=work, source=source, config=config)


def _references(subject: Subject, config: TextToImageOnRun) -> tuple[np.ndarray, list[Image.Image]]:
    """Pictures to move towards, and their rows in the store if they are of its pairs."""
    from modalens.studies.text_to_image_control.references import choose_references, read_references

    if config.reference:
        return np.empty(0, dtype=np.int64), read_references(config.reference)
    kinds = subject.column(config.label if config.label in subject.store.columns else "caption")
    chosen = subject.rows[choose_references(kinds, config.n_references, config.seed)]
    pairs = {pair.id: pair for pair in subject.pairs()}
    return chosen, [pairs[subject.store.ids[row]].image for row in chosen]


def _prompted(subject: Subject, config: TextToImageOnRun, chosen: np.ndarray) -> Any:
    """What draws; pictures that serve as references are not there to be retrieved."""
    from modalens.studies.text_to_image_control.prompted import PromptedEmbedding
    from modalens.studies.text_to_image_control.retrieval import generator_of
    from modalens.studies.text_to_image_control.stable_diffusion import load_stable_diffusion
    from modalens.studies.text_to_image_control.unclip import load_unclip

    vlm = subject.vlm()
    if config.generator != SELF and _UNCLIP not in config.generator.lower():
        return load_stable_diffusion(config.generator, vlm=vlm, prompt=config.prompt)
    if config.generator != SELF:
        return PromptedEmbedding(load_unclip(config.generator), vlm, config.prompt, space=subject.model)
    store = subject.store if subject.embeddings is None else subject.embeddings
    rest = np.setdiff1d(np.arange(len(store)), chosen)
    origin = "" if store.manifest is None else str(store.manifest.source["source"])
    pairs = {pair.id: pair for pair in subject.pairs()}
    generator = generator_of(
        vlm, store.image.pick(rest), lambda row: pairs[store.ids[rest[row]]].image, origin
    )
    return PromptedEmbedding(generator, vlm, config.prompt, space=subject.model)


def _inputs(subject: Subject, config: TextToImageOnRun) -> Mapping[str, Any]:
    del subject
    return {
        "references_sha256": file_digests(config.reference),
        "generator": None if config.generator == SELF else model_digest(config.generator),
        "judge": model_digest(config.judge),
    }


def _check_early(config: TextToImageOnRun, encoder: Abilities | None) -> None:
    del encoder
    if config.generator != SELF:
        from modalens.studies.text_to_image_control.loading import require_diffusers

        require_diffusers(config.generator)


STUDY = Study(
    name="text-to-image",
    summary="What moving one class of a prompt's features towards reference images does to the picture.",
    config=TextToImageOnRun,
    on_run=_run,
    inputs=_inputs,
    modalities=("image",),
    one_representation=True,
    check_early=_check_early,
)
