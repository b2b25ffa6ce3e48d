"""Cards of features to browse by class, to search and to draw at random."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.environment import json_block
from modalens.report.media import is_sound
from modalens.report.section import Section
from modalens.report.sections.gallery.packed import pack_galleries


def sections(data: ReportData) -> Sequence[Section]:
    """The galleries, if there are any."""
    if not data.galleries:
        return []
    cards = [card for each in data.galleries for card in each.cards]
    top = max((len(side) for card in cards for side in (card.top_images, card.top_texts)), default=1)
    packed = json_block(pack_galleries(data.galleries, data.previews, max(top, 1)))
    plays = any(is_sound(preview) for preview, _ in data.previews.values() if preview)
    values = {"packed": packed, "plays": plays, "seeds": any(card.seeds for card in cards)}
    heading = "What the features mean"
    return [Section("gallery", heading, __name__, values, script="gallery.js", style="gallery.css")]
