"""Put the adversarial study on a run's own encoder, pairs and features."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.errors import ModalensError
from modalens.pairs import load_pairs
from modalens.runs.representations import Representation
from modalens.studies.adversarial_images import (
    AdversarialConfig,
    ChatServer,
    DualEncoderVictim,
    ExactJudge,
    ModelJudge,
    Optimisation,
    ServerVictim,
    TransformersVictim,
    adversarial,
    canaries,
    load_requests,
)
from modalens.studies.adversarial_images.features import differentiable_features
from modalens.studies.adversarial_images.staging import stage
from modalens.studies.result import StudyResult
from modalens.towers import load_vlm
from modalens.towers.base import VLM

SELF = "self"
EXACT = "exact"
_KEY = "OPENAI_API_KEY"
_STEPS = {"attack": 60, "defence": 40}


def study_adversarial(
    each: Representation,
    source: Mapping[str, Any],
    work: Path,
    *,
    victim: str,
    judge: str,
    requests: Path | None,
    images: int,
    runs: int,
    rule: str,
    labels: Any,
    seed: int,
) -> StudyResult:
    """Attack the encoder of a run and defend it on the classes of one representation.

    Parameters
    ----------
    each
        The representation.
    source, work
        Kept with the result; folder for what is kept between two runs.
    victim
        ``self`` (the encoder answers with its nearest captions), ``URL#MODEL`` of an OpenAI-compatible server, or a
        transformers image-text-to-text model by hub id or folder.
    judge
        ``exact`` (the canary word appears), or ``URL#MODEL``.
    requests
        A file of requests; the harmless canaries that come with modalens by default.
    images, runs, rule, labels, seed
        See :func:`modalens.studies.adversarial_images.adversarial`.
    """
    store = each.store if each.embeddings is None else each.embeddings
    manifest = store.manifest
    if manifest is None or "source" not in manifest.source:
        raise ModalensError(f"{store.folder} does not say what made it; embed pairs with modalens first.")
    name = str(manifest.model["model"])
    vlm = load_vlm(name, revision=manifest.model.get("revision"))
    pairs = list(load_pairs(str(manifest.source["source"])))
    # The demo encoder has never seen a letter: it is shown pictures of what is asked for.
    wanted = canaries() if requests is None else load_requests(requests)
    staged = stage(pairs, wanted, images, pictured=name.startswith("demo"), seed=seed)
    return adversarial(
        vlm,
        staged.images,
        staged.requests,
        each.image[:],
        each.mds,
        _victim(victim, vlm, [pair.text for pair in pairs]),
        ExactJudge() if judge == EXACT else ModelJudge(_server(judge)),
        targets=staged.targets,
        encode=differentiable_features(None if each.learned is None else each.learned.model),
        labels=labels,
        config=AdversarialConfig(
            attack=Optimisation(_STEPS["attack"]),
            defence=Optimisation(_STEPS["defence"]),
            runs=runs,
            rule=rule,
            seed=seed,
        ),
        work=work,
        source=source,
    )


def _victim(
    name: str, vlm: VLM, captions: list[str]
) -> DualEncoderVictim | ServerVictim | TransformersVictim:
    if name == SELF:
        return DualEncoderVictim(vlm, captions)
    if name.startswith(("http://", "https://")):
        return ServerVictim(_server(name))
    return TransformersVictim(name)


def _server(name: str) -> ChatServer:
    url, hash_, model = name.partition("#")
    if not hash_:
        raise ModalensError(
            f"Write a server as URL#MODEL, such as http://localhost:8000/v1#llava, not {name!r}."
        )
    return ChatServer(url, model, os.environ.get(_KEY))
