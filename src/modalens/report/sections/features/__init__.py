"""Every feature with its score, to sort and to search."""

from collections.abc import Sequence

from modalens.report.data import ReportData
from modalens.report.naming import ROLES, Naming, count, listing
from modalens.report.section import Section
from modalens.report.sections.features.tables import feature_rows, feature_table, other_rules
from modalens.report.sections.learned.tables import RAW


def sections(data: ReportData) -> Sequence[Section]:
    """The table of features."""
    scores, naming = data.scores, Naming(*data.modalities)
    gallery = next((each for each in data.galleries if each.name == RAW), None)
    named = {card.feature: card.name for card in gallery.cards if card.name} if gallery else {}
    values = {
        "linked": RAW if gallery else "",
        "named": bool(named),
        "rows": feature_rows(scores, naming, named),
        "other_rules": other_rules(scores),
        "class_counts": scores.counts(),
    }
    counts = [f"{count(scores.counts()[naming.label(role)])} {naming.short(role)}" for role in ROLES]
    gist = f"The scores of {count(len(scores.score))} features under {scores.rule}: {listing(counts)}."
    tables = {"features": feature_table(data.main, data.estimator)}
    return [
        Section("features", "Every feature", __name__, values, tables=tables, gist=gist, script="table.js")
    ]
