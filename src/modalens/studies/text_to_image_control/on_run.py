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
from modalens.studies.text_to_image_control.config import SELF, TextToImageOnRun, is_unclip
from modalens.towers.abilities import Abilities


def _run(subject: Subject, config: TextToImageOnRun, work: Path, source: Mapping[str, Any]) -> StudyResult:
    from modalens.studies.text_to_image_control.study import text_to_image
    from modalens.towers.samples import load_sample_embedder

    if subject.model is not None and not subject.model.has_decoder:
        raise ModalensError(
            "A projector's features have no way back to embeddings; study raw or an autoencoder."
        )
    judge = load_sample_embedder(config.judge, "image")
    chosen, references, about = _references(subject, config)
    prompted, left_out = _prompted(subject, config, chosen)
    columns = subject.store.columns
    return text_to_image(
        prompted,
        references,
        subject.mds,
        judge,
        features=(subject.image, subject.text),
        labels=subject.column(config.label) if config.label in columns else None,
        work=work,
        caveats=[about, *left_out],
        source=source,
        config=config,
    )


def _references(subject: Subject, config: TextToImageOnRun) -> tuple[np.ndarray, list[Image.Image], str]:
    """Pictures to move towards, their rows in the store if they are of its pairs, and what they are."""
    from modalens.studies.text_to_image_control.references import (
        choose_references,
        of_the_kind,
        read_references,
    )

    if config.reference:
        names = ", ".join(path.name for path in config.reference)
        return np.empty(0, dtype=np.int64), read_references(config.reference), f"References: {names}."
    known = [name for name in (config.kind, config.label, "caption") if name in subject.store.columns]
    columns = {name: subject.column(name) for name in dict.fromkeys(known)}
    by, places = of_the_kind(config.prompt, columns)
    if by is None:
        places = np.arange(len(subject.rows))
        about = (
            "No column of the pairs names what the prompt asks for, so references are pictures of any kind; name "
            "better ones with --reference."
        )
    else:
        about = f"References are pictures that the prompt's words fit, by the column {by}."
    # Of those as different ones as there are: of a caption, which all differ, any.
    kinds = np.asarray(next(iter(columns.values()), places))
    kinds = kinds if len(kinds) == len(places) else kinds[places]
    chosen = subject.rows[places[choose_references(kinds, config.n_references, config.seed)]]
    pairs = {pair.id: pair for pair in subject.pairs()}
    return chosen, [pairs[subject.store.ids[row]].image for row in chosen], about


def _prompted(subject: Subject, config: TextToImageOnRun, chosen: np.ndarray) -> tuple[list[Any], list[str]]:
    """What draws, and what is left out; pictures that serve as references are not there to be retrieved."""
    from modalens.studies.text_to_image_control.prompted import PromptedEmbedding
    from modalens.studies.text_to_image_control.retrieval import generator_of
    from modalens.studies.text_to_image_control.unclip import load_unclip

    vlm = subject.vlm()
    if config.generator != SELF and not is_unclip(config.generator):
        return _diffusion(vlm, config)
    if config.generator != SELF:
        generator = load_unclip(config.generator, **_of_pipeline(config))
        return [PromptedEmbedding(generator, vlm, config.prompt, space=subject.model)], []
    store = subject.store if subject.embeddings is None else subject.embeddings
    rest = np.setdiff1d(np.arange(len(store)), chosen)
    origin = "" if store.manifest is None else str(store.manifest.source["source"])
    pairs = {pair.id: pair for pair in subject.pairs()}
    own = generator_of(vlm, store.image.pick(rest), lambda row: pairs[store.ids[rest[row]]].image, origin)
    return [PromptedEmbedding(own, vlm, config.prompt, space=subject.model)], []


def _of_pipeline(config: TextToImageOnRun) -> dict[str, Any]:
    """The settings of a pipeline that are given."""
    given = {"steps": config.steps, "guidance": config.guidance}
    return {name: value for name, value in given.items() if value is not None}


def _diffusion(vlm: Any, config: TextToImageOnRun) -> tuple[list[Any], list[str]]:
    """Stable Diffusion in each space that the encoder fits, and a sentence for one that it does not fit."""
    from modalens.studies.text_to_image_control.stable_diffusion import load_stable_diffusion

    found: list[Any] = []
    errors: list[ModalensError] = []
    for space in dict.fromkeys(config.space):
        try:
            found.append(
                found[0].in_space(space)
                if found
                else load_stable_diffusion(
                    config.generator,
                    vlm=vlm,
                    prompt=config.prompt,
                    tokens=config.tokens,
                    space=space,
                    **_of_pipeline(config),
                )
            )
        except ModalensError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found, [f"A space is left out: {error}" for error in errors]


def _inputs(subject: Subject, config: TextToImageOnRun) -> Mapping[str, Any]:
    del subject
    return {
        "references_sha256": file_digests(config.reference),
        "generator": None if config.generator == SELF else model_digest(config.generator),
        "judge": model_digest(config.judge),
    }


def _check_early(config: TextToImageOnRun, encoder: Abilities | None) -> None:
    from modalens.studies.text_to_image_control.references import read_references
    from modalens.towers.samples import check_sample_embedder

    del encoder
    check_sample_embedder(config.judge, "image")
    read_references(config.reference)
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
