"""Cards of features to browse by class, to search and to draw at random."""

from collections.abc import Sequence

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
    values = {"packed": packed, "plays": plays, "seeds": any(card.seeds for card in cards)}
    heading = "What the features mean"
    return [
        Section(
            "gallery", heading, __name__, values, gist=_gist(data), script="gallery.js", style="gallery.css"
        )
    ]


def _stable_share(gallery: Gallery) -> float:
    return sum(card.stable for card in gallery.cards) / max(1, len(gallery.cards))


def _gist(data: ReportData) -> str:
    """Whose features there are, and how many of them other seeds find."""
    parts = []
    for each in sorted(data.galleries, key=lambda each: -_stable_share(each)):
        stable = count(sum(card.stable for card in each.cards))
        seeded = any(card.seeds for card in each.cards)
        found = f" ({stable} found again by at least half of the other seeds)" if seeded else ""
        parts.append(f"{count(len(each.cards))} of {each.name}{found}")
    return f"Cards of features with their strongest samples: {'; '.join(parts)}."
