"""Put the text-to-image study on a run's own encoder, pairs and features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modalens.errors import ModalensError
from modalens.features import SparseAutoencoder
from modalens.pairs import load_pairs
from modalens.runs.interpreting import InterpretConfig
from modalens.runs.representations import Representation
from modalens.studies.result import StudyResult
from modalens.studies.text_to_image_control import (
    Prompted,
    PromptedEmbedding,
    TextToImageConfig,
    choose_references,
    generator_of,
    load_stable_diffusion,
    load_unclip,
    read_references,
    text_to_image,
)
from modalens.towers import load_vlm
from modalens.towers.samples import load_sample_embedder

SELF = "self"
_UNCLIP = "unclip"
# Each random set costs as many pictures as a class does.
_MOST_DRAWS = 8


def study_text_to_image(
    each: Representation,
    source: Mapping[str, Any],
    work: Path,
    *,
    prompt: str,
    generator: str,
    references: Sequence[Path],
    rule: str,
    draws: int,
    seed: int,
) -> StudyResult:
    """Move a prompt towards reference images on the classes of one representation.

    Parameters
    ----------
    each
        The embeddings of a run, or an autoencoder's features: a projector's have no way back to embeddings.
    source, work
        Kept with the result; folder for what is kept between two runs.
    prompt
        What to draw.
    generator
        ``self`` (the generator that was trained on the encoder's embeddings where there is one, else the nearest
        picture of the pairs), or a Stable Diffusion or unCLIP pipeline of diffusers by hub id or folder.
    references
        Image files; held-out pictures of the pairs by default.
    rule, draws, seed
        Class rule; random control sets, of which at most 8 are drawn; seed of every draw.
    """
    store = each.store if each.embeddings is None else each.embeddings
    manifest = store.manifest
    if manifest is None or "source" not in manifest.source:
        raise ModalensError(f"{store.folder} does not say what made it; embed pairs with modalens first.")
    space = None if each.learned is None else each.learned.model
    if space is not None and not isinstance(space, SparseAutoencoder):
        raise ModalensError(
            "A projector's features have no way back to embeddings; study raw or an autoencoder."
        )
    vlm = load_vlm(str(manifest.model["model"]), revision=manifest.model.get("revision"))
    pairs = {pair.id: pair for pair in load_pairs(str(manifest.source["source"]))}
    if references:
        chosen, pictures = np.empty(0, dtype=np.int64), read_references(references)
    else:
        kinds = each.column("category" if "category" in each.store.columns else "caption")
        chosen = each.rows[choose_references(kinds, seed=seed)]
        pictures = [pairs[store.ids[row]].image for row in chosen]
    prompted: Prompted
    if generator == SELF or _UNCLIP in generator.lower():
        rest = np.setdiff1d(np.arange(len(store)), chosen)
        drawn_by = (
            generator_of(
                vlm,
                store.image.pick(rest),
                lambda row: pairs[store.ids[rest[row]]].image,
                str(manifest.source["source"]),
            )
            if generator == SELF
            else load_unclip(generator)
        )
        prompted = PromptedEmbedding(drawn_by, vlm, prompt, space=space)
    else:
        prompted = load_stable_diffusion(generator, vlm=vlm, prompt=prompt)
    judge = load_sample_embedder(InterpretConfig().image_embedder, "image")
    config = TextToImageConfig(rule=rule, draws=min(draws, _MOST_DRAWS), seed=seed)
    return text_to_image(prompted, pictures, each.mds, judge, config=config, work=work, source=source)
