"""A page on which people say what features show, without being told their class."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from modalens.errors import ModalensError
from modalens.report.cards import FeatureCard, Gallery, Samples
from modalens.report.environment import environment, json_block, script_hash, source
from modalens.report.media import data_url, is_sound
from modalens.report.naming import Naming, capitalised
from modalens.store.atomic import write_text
from modalens.store.documents import read_document, write_document
from modalens.store.lock import alone_in
from modalens.studies.rater_agreement.answers import ANSWERS_KIND, BOTH, KEY_KIND, NEITHER, SCHEMA_VERSION
from modalens.version import __version__

logger = logging.getLogger(__name__)

PAGE_NAME, KEY_NAME = "annotate.html", "key.json"
_CROSS = "cross"
_LONGEST_TEXT = 400


@dataclass(frozen=True)
class _Side:
    """Samples of one modality as shown: ``shown`` indexes the page's list, ``drawn`` of them at random."""

    shown: list[int]
    drawn: int


class _Shelf:
    """Everything there is to show of one modality, each thing once."""

    def __init__(self, content: Mapping[str, str]) -> None:
        self.content = content  # by sample id
        self.pool = sorted(set(content.values()))
        self.placed: dict[str, int] = {}

    def side(self, top: Sequence[tuple[str, float]], m: int, rng: np.random.Generator) -> _Side:
        """The strongest samples that fire, filled up to m with random ones, in random order.

        Without the filling, an empty side would tell the class; without the shuffling, the filling would show.
        """
        found = [self.content[name] for name, activation in top if activation != 0 and name in self.content]
        strongest = list(dict.fromkeys(found))[:m]
        rest = [thing for thing in self.pool if thing not in set(strongest)]
        drawn = [rest[i] for i in rng.permutation(len(rest))[: m - len(strongest)]]
        both = strongest + drawn
        shown = [self.placed.setdefault(both[i], len(self.placed)) for i in rng.permutation(len(both))]
        return _Side(shown, len(drawn))


def write_annotation(
    gallery: Gallery,
    samples: Samples,
    out: str | Path,
    *,
    features: int = 60,
    top: int = 9,
    seed: int = 0,
) -> Path:
    """Write a page where a rater says which modality each feature belongs to, and the key beside it.

    The page opens offline, keeps the rater's progress in the browser and saves the answers to a file that
    :func:`modalens.studies.rater_agreement.study.agreement` reads. Nothing in it tells classes, scores, activations or
    feature numbers: features come in random order, and a side on which a feature fires for fewer than ``top``
    samples is filled with random ones, so that every feature looks alike. All of that is in ``key.json``.

    Parameters
    ----------
    gallery
        The features, with their strongest samples; the same number is drawn from each class, as far as it has
        that many.
    samples
        Picture or sound, and text, of each sample.
    out
        Folder of ``annotate.html`` and ``key.json``. Another page there, which raters may have, is moved to
        ``replaced/PAGE/`` with its key.
    features
        How many features to show.
    top
        Samples of each modality to show of a feature.
    seed
        Of the choice, the order and the random samples.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ModalensError
        If there is no feature or no sample to show, a number is under 1, the folder cannot be written to, or another
        process writes to it.
    """
    for name, value in (("features", features), ("top", top)):
        if value < 1:
            raise ModalensError(f"{name} is {value}; it must be at least 1.")
    if not gallery.cards:
        raise ModalensError("There is no live feature to ask people about; give a run whose features fire.")
    naming = Naming(*gallery.modalities)
    previews = _Shelf({name: data_url(preview, name) for name, (preview, _) in samples.items() if preview})
    texts = _Shelf({name: _shortened(text) for name, (_, text) in samples.items() if text.strip()})
    if not previews.pool or not texts.pool:
        raise ModalensError(
            f"There are no {naming.many(naming.first)} or no {naming.many(naming.second)} to show; make sure that the "
            "source of the pairs is still there."
        )
    items, key = [], []
    for number, card in enumerate(_chosen(gallery.cards, features, seed), start=1):
        rng = np.random.default_rng([seed, card.feature])
        first, second = previews.side(card.top_images, top, rng), texts.side(card.top_texts, top, rng)
        items.append([first.shown, second.shown])
        key.append(
            {
                "item": number,
                "feature": card.feature,
                "class": card.label,
                "random_samples": dict(zip(gallery.modalities, (first.drawn, second.drawn), strict=True)),
            }
        )
    shown = {"items": items, "previews": list(previews.placed), "texts": list(texts.placed)}
    page_id = hashlib.sha256(json.dumps(shown).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    first_name, second_name = gallery.modalities
    plays = any(is_sound(preview) for preview, _ in samples.values() if preview)
    out = Path(out)
    known = {
        "modalens": __version__,
        "page": page_id,
        "representation": gallery.name,
        "rule": gallery.rule,
        "choices": [first_name, second_name, BOTH, NEITHER],
        "answer_of_class": {first_name: first_name, second_name: second_name, _CROSS: BOTH},
        "seed": seed,
        "items": key,
    }
    try:
        with alone_in(out, "writing a page to"):
            _set_aside(out, known)
            # The key first: a page that is there, and may be sent, has its key.
            write_document(out / KEY_NAME, KEY_KIND, SCHEMA_VERSION, known)
            write_text(out / PAGE_NAME, _render(gallery, {"page": page_id, **shown}, plays))
    except OSError as error:
        raise ModalensError(f"The page cannot be written to {out}: {error.strerror or error}.") from error
    logger.info("annotation page written to %s", out / PAGE_NAME)
    return out / PAGE_NAME


def _set_aside(out: Path, known: Mapping[str, Any]) -> None:
    """Move another page and its key to ``replaced/PAGE/``: raters may have the page, whose key is nowhere else."""
    key = out / KEY_NAME
    if not key.exists():
        return
    try:
        before = read_document(key, KEY_KIND, SCHEMA_VERSION)
    except ModalensError:  # damaged, or somebody else's file: kept all the same
        before = {}
    if all(before.get(name) == value for name, value in known.items() if name != "modalens"):
        return
    called = str(before.get("page", "unknown"))
    called = called if called.isalnum() else "unknown"
    aside, number = out / "replaced" / called, 1
    while (aside / KEY_NAME).exists():
        number += 1
        aside = aside.with_name(f"{called}-{number}")
    aside.mkdir(parents=True, exist_ok=True)
    for path in (out / PAGE_NAME, key):  # the key last: what was begun and stopped is done again
        if path.exists():
            path.rename(aside / path.name)
    logger.warning("The page that was in %s is another one; it and its key are now in %s", out, aside)


def _chosen(cards: Sequence[FeatureCard], count: int, seed: int) -> list[FeatureCard]:
    """As many features of each class as there are, up to ``count`` in all, in random order."""
    rng = np.random.default_rng(seed)
    classes: dict[str, list[FeatureCard]] = {}
    for card in sorted(cards, key=lambda card: card.feature):
        classes.setdefault(card.label, []).append(card)
    for label in sorted(classes):
        classes[label] = [classes[label][i] for i in rng.permutation(len(classes[label]))]
    turns = [(turn, label) for label in sorted(classes) for turn in range(len(classes[label]))]
    taken = [classes[label][turn] for turn, label in sorted(turns)[:count]]
    # By number first, so that the order follows from the choice alone and not from the classes.
    taken.sort(key=lambda card: card.feature)
    return [taken[i] for i in np.random.default_rng([seed, 1]).permutation(len(taken))]


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT].rstrip() + "…"


def _render(gallery: Gallery, data: Mapping[str, Any], plays: bool) -> str:
    script = source("annotate.js")
    naming = Naming(*gallery.modalities)
    first, second = gallery.modalities
    return (
        environment()
        .get_template("annotate.html.j2")
        .render(
            name=gallery.name,
            first=naming.one(first),
            second=naming.one(second),
            choices=[
                (
                    first,
                    capitalised(naming.one(first)),
                    f"only the {naming.one(first)} samples share one idea",
                ),
                (
                    second,
                    capitalised(naming.one(second)),
                    f"only the {naming.one(second)} samples share one idea",
                ),
                (BOTH, "Both", "they share the same idea"),
                (NEITHER, "Neither", "no idea is shared"),
            ],
            items=len(data["items"]),
            plays=plays,
            data=json_block({"kind": ANSWERS_KIND, "schema_version": SCHEMA_VERSION, **data}),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )
