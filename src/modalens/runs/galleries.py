"""From interpretations to what people look at: feature cards, and the pictures and texts they show."""

import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import load_pairs
from modalens.progress import progress_bar
from modalens.report.cards import FeatureCard, Gallery
from modalens.runs.interpretation import Interpretation
from modalens.store import PairStore

logger = logging.getLogger(__name__)

_THUMBNAIL = (96, 96)
_SHOWN = (256, 256)
_QUALITY = 75
# Keeps a page of three representations well under 30 MB.
MOST = 2000


def make_gallery(name: str, note: str, found: Interpretation, *, top: int = 12, most: int = MOST) -> Gallery:
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

    Raises
    ------
    ModalensError
        If ``top`` or ``most`` is under 1.
    """
    check_limits(top, most)
    mds = found.mds
    live = np.flatnonzero(mds.labels != "dead")
    if len(live) > most:
        drawn = np.random.default_rng((found.config.seed, 4)).choice(live, most, replace=False)
        partners = found.bridges.partner[drawn]
        note = (
            f"{note} {most:,} of {len(live):,} live features are shown, drawn at random, with their partners."
        )
        live = np.union1d(drawn, partners[partners >= 0])
    cards = [_card(found, feature, top) for feature in live.tolist()]
    return Gallery(name, note, (mds.modalities[0], mds.modalities[1]), mds.rule, cards)


def check_limits(top: int, most: int) -> None:
    """Raise if so many samples or features cannot be shown."""
    for option, value in (("top", top), ("features", most)):
        if value < 1:
            raise ModalensError(f"{option} is {value}; it must be at least 1.")


def collect_pictures(store: PairStore, galleries: Iterable[Gallery]) -> dict[str, tuple[bytes | None, str]]:
    """Picture and text of every sample that a card shows; pictures are None where the source is gone."""
    galleries = list(galleries)
    ids = store.ids
    texts: dict[str, str] = {}
    needed = {
        name
        for gallery in galleries
        for card in gallery.cards
        for side in (card.top_images, card.top_texts)
        for name, _ in side
    }
    shown = {name for gallery in galleries for card in gallery.cards for name, _ in card.top_images}
    captions = store.read_metadata(["caption"])["caption"] if "caption" in store.columns else ids
    for name, caption in zip(ids, captions, strict=True):
        if name in needed:
            texts[name] = caption if isinstance(caption, str) else ""
    pictures = _thumbnails(store, shown)
    return {name: (pictures.get(name), text) for name, text in texts.items()}


def pictures_of(store: PairStore, names: Sequence[str]) -> list[Image.Image | None]:
    """Pictures of some pairs by id, at most 256 pixels wide and high; None for those that are gone."""
    found = _find(store, set(names), _SHOWN)
    return [found.get(name) for name in names]


def _thumbnails(store: PairStore, names: set[str]) -> Mapping[str, bytes]:
    """Small pictures of some pairs, as the page holds them."""
    found = {}
    for name, image in _find(store, names, _THUMBNAIL).items():
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=_QUALITY)
        found[name] = buffer.getvalue()
    return found


def _find(store: PairStore, names: set[str], size: tuple[int, int]) -> dict[str, Image.Image]:
    """Pictures of some pairs, from the source that the store names, shrunk to a size."""
    manifest = store.manifest
    source = None if manifest is None else manifest.source.get("source")
    found: dict[str, Image.Image] = {}
    if source is None or not names:
        return found
    stored = "image_path" in store.columns
    keys = (
        dict(zip(store.ids, store.read_metadata(["image_path"])["image_path"], strict=True)) if stored else {}
    )
    try:
        pairs = load_pairs(str(source))
        with progress_bar("Drawing thumbnails", len(names)) as advance:
            for pair in pairs:
                if pair.id not in names or (keys and pair.ref.key != keys[pair.id]):
                    continue  # not shown, or no longer the picture that was embedded
                try:
                    image = pair.image
                except (ModalensError, OSError):
                    continue  # it was embedded once; a picture that went bad since must not cost the page
                image.thumbnail(size)
                found[pair.id] = image
                advance(1)
                if len(found) == len(names):
                    break
    except ModalensError as error:
        logger.warning("The galleries show no pictures: %s", error)
    return found


def _card(found: Interpretation, feature: int, top: int) -> FeatureCard:
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
    )


def _top(found: Interpretation, side: str, feature: int, top: int) -> list[tuple[str, float]]:
    listed: Any = found.top[side]
    places, values = listed.rows[feature, :top], listed.values[feature, :top]
    return [
        (str(found.ids[side][place]), float(value))
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
        if place >= 0
    ]
