"""Cards of features to browse by class, to search and to draw at random."""

from collections.abc import Sequence

import pandas as pd

from modalens.report.cards import Gallery
from modalens.report.data import ReportData
from modalens.report.environment import json_block
from modalens.report.media import is_sound
from modalens.report.naming import count
from modalens.report.section import Section
from modalens.report.sections.gallery.packed import pack_galleries


def sections(data: ReportData) -> Sequence[Section]:
    """The galleries, if there are any."""
    if not data.galleries:
        return []
    cards = [card for each in data.galleries for card in each.cards]
    top = max((len(side) for card in cards for side in (card.top_images, card.top_texts)), default=1)
    # What training gives again and again comes first.
    galleries = sorted(data.galleries, key=lambda each: -_stable_share(each))
    packed = json_block(pack_galleries(galleries, data.previews, max(top, 1)))
    plays = any(is_sound(preview) for preview, _ in data.previews.values() if preview)
    values = {
        "packed": packed,
        "plays": plays,
        "seeds": any(card.seeds for card in cards),
        "named": any(card.name for card in cards),
    }
    return [
        Section(
            "gallery",
            "What the features mean",
            __name__,
            values,
            tables={"names": _names(data)},
            gist=_gist(data),
            script="gallery.js",
            style="gallery.css",
        )
    ]


def _stable_share(gallery: Gallery) -> float:
    return sum(card.stable for card in gallery.cards) / max(1, len(gallery.cards))


def _names(data: ReportData) -> pd.DataFrame:
    """Features that have a name, with its scores."""
    first, second = data.modalities
    rows = [
        (each.name, card.feature, card.label, card.name, *card.name_image, *card.name_text)
        for each in data.galleries
        for card in sorted(each.cards, key=lambda card: card.feature)
        if card.name
    ]
    scores = [f"{side}_detection{end}" for side in (first, second) for end in ("", "_shuffled")]
    return pd.DataFrame(rows, columns=["representation", "feature", "class", "name", *scores])


def _gist(data: ReportData) -> str:
    """Whose features there are, and how many of them other seeds find."""
    parts = []
    for each in sorted(data.galleries, key=lambda each: -_stable_share(each)):
        stable = count(sum(card.stable for card in each.cards))
        seeded = any(card.seeds for card in each.cards)
        found = f" ({stable} found again by at least half of the other seeds)" if seeded else ""
        parts.append(f"{count(len(each.cards))} of {each.name}{found}")
    return f"Cards of features with their strongest samples: {'; '.join(parts)}."
