"""Galleries as the page's script reads them: cards ranked, each sample once."""

import math
from collections.abc import Sequence
from typing import Any

from modalens.errors import ModalensError
from modalens.report.cards import SIDES, FeatureCard, Gallery, Samples
from modalens.report.naming import Naming
from modalens.report.sections.gallery.sample_table import SampleTable


def pack_galleries(galleries: Sequence[Gallery], samples: Samples, top: int = 12) -> dict[str, Any]:
    """Galleries and the samples they show, as plain values for JSON.

    Parameters
    ----------
    galleries
        One for each representation; the first is what a reader sees first.
    samples
        Every sample that a card lists, at least. A preview is written once, however many samples share it, and
        only if a card shows it.
    top
        Most samples of either side on a card.

    Raises
    ------
    ModalensError
        If there is no gallery, two share a name, a card lists a sample that is not given, a preview is no picture
        or sound that browsers know, or ``top`` is not positive.
    """
    if not galleries:
        raise ModalensError("There is no gallery to show; give at least one representation.")
    names = [gallery.name for gallery in galleries]
    if len(set(names)) < len(names):
        raise ModalensError(f"Galleries of one page need different names, not {', '.join(names)}.")
    if top < 1:
        raise ModalensError(f"A card shows at least 1 sample of either side, not {top}.")
    table = SampleTable(samples)
    packed = [_pack(gallery, table, top) for gallery in galleries]
    return {"galleries": packed, **table.packed()}


def _pack(gallery: Gallery, table: SampleTable, top: int) -> dict[str, Any]:
    naming = Naming(*gallery.modalities)
    cards = sorted(gallery.cards, key=lambda card: (not card.stable, -_rank(card, gallery), card.feature))
    roles = gallery.roles
    return {
        "name": gallery.name,
        "note": gallery.note,
        "rule": gallery.rule,
        "modalities": gallery.modalities,
        "plurals": [naming.many(name) for name in gallery.modalities],
        "labels": list(roles),
        "shorts": [naming.short(role) for role in SIDES],
        # Those that other seeds find first, the most monosemantic of them on top: classes are ranked as they stand.
        "cards": [_pack_card(card, SIDES.index(roles[card.label]), table, top) for card in cards],
    }


def _rank(card: FeatureCard, gallery: Gallery) -> float:
    """Mono on the feature's own side, or the mean of both; what has none comes last."""
    own = {
        gallery.modalities[0]: card.mono_image,
        gallery.modalities[1]: card.mono_text,
    }.get(card.label, (card.mono_image + card.mono_text) / 2)
    return -math.inf if math.isnan(own) else own


def _pack_card(card: FeatureCard, role: int, table: SampleTable, top: int) -> dict[str, Any]:
    images, texts = list(card.top_images)[:top], list(card.top_texts)[:top]
    return {
        "feature": int(card.feature),
        "role": role,
        "score": _number(card.score, 4),
        "interval": [_number(card.low, 4), _number(card.high, 4)],
        "certainty": _number(card.certainty, 4),
        "mono": [_number(card.mono_image), _number(card.mono_text)],
        "top": [[table.shown(name) for name, _ in images], [table.read(name) for name, _ in texts]],
        "values": [[_number(value) for _, value in side] for side in (images, texts)],
        "range": [_number(edge) for edge in (card.histogram_edges[0], card.histogram_edges[-1])]
        if len(card.histogram_edges)
        else [],
        "counts": [[int(count) for count in side] for side in (card.image_histogram, card.text_histogram)],
        "zeros": [int(card.image_zeros), int(card.text_zeros)],
        "near": [[int(feature), _number(cosine)] for feature, cosine in card.neighbours],
        "verdict": card.verdict,
        "partner": int(card.partner),
        "correlation": _number(card.correlation),
        "found": [int(card.found), int(card.seeds)],
        "name": card.name,
        "named": [[_number(value) for value in side] for side in (card.name_image, card.name_text)],
    }


def _number(value: float, digits: int = 3) -> float | None:
    """Rounded to significant digits, which is what a reader sees; None for what is not known."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
