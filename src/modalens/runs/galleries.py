"""From interpretations to what people look at: feature cards, and previews of the samples they show."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from modalens.errors import ModalensError
from modalens.interpret.matching import FoundAgain
from modalens.pairs import Pairs, load_pairs
from modalens.pairs.modality import IMAGE, SOUND, find_modality
from modalens.progress import progress_bar
from modalens.report.cards import FeatureCard, Gallery
from modalens.runs.interpretation import SIDES, Interpretation
from modalens.store import PairStore
from modalens.store.base import IMAGE_COLUMN

if TYPE_CHECKING:
    from modalens.runs.naming import Names

logger = logging.getLogger(__name__)

_SHOWN = (256, 256)
# What all sounds of a page may take, as files; each is cut to what it gets of that, to a second at least.
_SOUND_BYTES = 16e6
_LEAST_SCALE = 1 / 3
# Keeps a page of three representations well under 30 MB.
MOST = 2000


def make_gallery(
    name: str,
    note: str,
    found: Interpretation,
    *,
    top: int = 12,
    most: int = MOST,
    again: FoundAgain | None = None,
    names: "Names | None" = None,
) -> Gallery:
    """The cards of one representation's live features.

    Parameters
    ----------
    name, note
        What the gallery is called, and one sentence on what it shows.
    found
        The interpretation.
    top
        Most samples of either side on a card.
    most
        Most features; of more, so many are drawn at random (never chosen by how well they look), together
        with the partners of those drawn.
    again
        Which features other seeds found; None where there are no other seeds.
    names
        Names of the features; those that do no better than other features' names are not shown.

    Raises
    ------
    ModalensError
        If ``top`` or ``most`` is under 1.
    """
    check_limits(top, most)
    mds = found.mds
    live = np.flatnonzero(mds.labels != "dead")
    if again is not None:
        counts = again.counts[live]
        by_all = (
            f", {np.count_nonzero(counts == again.others):,} by all {again.others}"
            if again.others > 1
            else ""
        )
        note = (
            f"{note} {np.count_nonzero(counts > 0):,} of {len(live):,} are found again by another seed{by_all}; those "
            "that none found are marked."
        )
    if len(live) > most:
        drawn = np.random.default_rng((found.config.seed, 4)).choice(live, most, replace=False)
        partners = found.bridges.partner[drawn]
        note = (
            f"{note} {most:,} of {len(live):,} live features are shown, drawn at random, with their partners."
        )
        live = np.union1d(drawn, partners[partners >= 0])
    cards = [_card(found, feature, top, again) for feature in live.tolist()]
    if names is not None:
        standing, table = names.standing(), names.table
        cards = [_named(card, standing, table) for card in cards]
    return Gallery(name, note, (mds.modalities[0], mds.modalities[1]), mds.rule, cards)


def check_limits(top: int, most: int) -> None:
    """Raise if so many samples or features cannot be shown."""
    for option, value in (("top", top), ("features", most)):
        if value < 1:
            raise ModalensError(f"{option} is {value}; it must be at least 1.")


def collect_previews(store: PairStore, galleries: Iterable[Gallery]) -> dict[str, tuple[bytes | None, str]]:
    """Preview and text of every sample that a card shows.

    A preview is a small picture or the beginning of a sound; it is None where the source is gone, and for the weakest
    of more sounds than a page can hold.
    """
    galleries = list(galleries)
    cards = [card for gallery in galleries for card in gallery.cards]
    ids = store.ids
    texts: dict[str, str] = {}
    needed = {name for card in cards for side in (card.top_images, card.top_texts) for name, _ in side}
    captions = store.metadata_shards.iter_values("caption") if "caption" in store.columns else ids
    for name, caption in zip(ids, captions, strict=True):
        if name in needed:
            texts[name] = caption if isinstance(caption, str) else ""
    ranks: dict[str, int] = {}
    for card in cards:
        for rank, (name, _) in enumerate(card.top_images):
            ranks[name] = min(rank, ranks.get(name, rank))
    previews = previews_of(store, sorted(ranks, key=lambda name: (ranks[name], name)))
    return {name: (previews.get(name), text) for name, text in texts.items()}


def pictures_of(store: PairStore, names: Sequence[str]) -> list[Image.Image | None]:
    """Pictures of some pairs by id, at most 256 pixels wide and high; None for those that are gone, and for sounds."""
    found: dict[str, Image.Image] = {}
    source = _source(store)
    if source is None or source.modalities[0] != IMAGE.name:
        return [None] * len(names)
    for name, image in _decoded(store, source, set(names)):
        image.thumbnail(_SHOWN)
        found[name] = image
    return [found.get(name) for name in names]


def previews_of(store: PairStore, names: Sequence[str]) -> Mapping[str, bytes]:
    """Previews of some pairs by id, named in the order in which they matter; those that are gone are left out."""
    source = _source(store) if names else None
    if source is None:
        return {}
    modality = find_modality(source.modalities[0])
    scale = 1.0
    if modality is SOUND:
        whole = 2 * SOUND.rate * SOUND.seconds
        scale = min(1.0, max(_SOUND_BYTES / (len(names) * whole), _LEAST_SCALE))
        names = names[: int(_SOUND_BYTES / (scale * whole))]
    return {
        name: modality.preview(sample, scale).data for name, sample in _decoded(store, source, set(names))
    }


def _source(store: PairStore) -> Pairs | None:
    """Where the pairs came from; None where the store does not say, or it is no longer there."""
    manifest = store.manifest
    name = None if manifest is None else manifest.source.get("source")
    if name is None:
        return None
    try:
        return load_pairs(str(name))
    except ModalensError as error:
        logger.warning("The galleries show texts alone: %s", error)
        return None


def _decoded(store: PairStore, source: Pairs, names: set[str]) -> Iterator[tuple[str, Any]]:
    """The first side of some pairs with their ids, decoded, in the order of the source."""
    keys: dict[str, Any] = {}
    if IMAGE_COLUMN in store.columns:
        stored = zip(store.ids, store.metadata_shards.iter_labels(IMAGE_COLUMN), strict=True)
        keys = {name: key for name, key in stored if name in names}
    modality = find_modality(source.modalities[0])
    left = len(names)
    try:
        with progress_bar("Making previews", left) as advance:
            for pair in source:
                if pair.id not in names or (keys and pair.ref.key != keys[pair.id]):
                    continue  # not shown, or no longer what was embedded
                try:
                    sample = modality.decode(pair.ref)
                except (ModalensError, OSError):
                    continue  # it was embedded once; a file that went bad since must not cost the page
                yield pair.id, sample
                advance(1)
                left -= 1
                if not left:
                    return
    except ModalensError as error:
        logger.warning("The galleries show texts alone: %s", error)


def _card(found: Interpretation, feature: int, top: int, again: FoundAgain | None) -> FeatureCard:
    mds, bins, linked = found.mds, found.histograms, found.bridges
    dead_edges = bool(np.isnan(bins.edges[feature]).any())
    near = zip(found.neighbours[0][feature].tolist(), found.neighbours[1][feature].tolist(), strict=True)
    return FeatureCard(
        feature=feature,
        label=str(mds.labels[feature]),
        score=float(mds.score[feature]),
        low=float(mds.low[feature]),
        high=float(mds.high[feature]),
        certainty=float(mds.probability[feature]),
        mono_image=float(found.mono["image"].mono[feature]),
        mono_text=float(found.mono["text"].mono[feature]),
        top_images=_top(found, "image", feature, top),
        top_texts=_top(found, "text", feature, top),
        histogram_edges=() if dead_edges else bins.edges[feature].tolist(),
        image_histogram=() if dead_edges else bins.image[feature].tolist(),
        text_histogram=() if dead_edges else bins.text[feature].tolist(),
        image_zeros=int(bins.image_zeros[feature]),
        text_zeros=int(bins.text_zeros[feature]),
        neighbours=[(other, cosine) for other, cosine in near if other >= 0],
        verdict=str(linked.verdict[feature]),
        partner=int(linked.partner[feature]),
        correlation=float(linked.correlation[feature]),
        found=0 if again is None else max(0, int(again.counts[feature])),
        seeds=0 if again is None else again.others,
    )


def _named(card: FeatureCard, standing: np.ndarray, table: pd.DataFrame) -> FeatureCard:
    """The card with its name and the name's scores, if it has one that stands."""
    if not standing[card.feature]:
        return card
    row = table.iloc[card.feature]
    image, text = (
        (float(row[f"{side}_detection"]), float(row[f"{side}_detection_shuffled"])) for side in SIDES
    )
    return replace(card, name=str(standing[card.feature]), name_image=image, name_text=text)


def _top(found: Interpretation, side: str, feature: int, top: int) -> list[tuple[str, float]]:
    listed: Any = found.top[side]
    places, values = listed.rows[feature, :top], listed.values[feature, :top]
    return [
        (str(found.ids[side][place]), float(value))
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
        if place >= 0
    ]
