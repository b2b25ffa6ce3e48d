"""How far the estimators agree, in sentences computed from their scores."""

from modalens.dominance import RULES
from modalens.report.data import ReportData
from modalens.report.naming import listing, number, percent
from modalens.report.sections.estimators.tables import agreement, rank_correlation


def estimator_statements(data: ReportData) -> list[str]:
    """How far the other estimators agree with the one the page is about."""
    base = data.scores
    sentences = []
    for name, found in data.main.dominance.items():
        if isinstance(found, str):
            sentences.append(f"{name} is not defined here: {found}")
        elif name != data.estimator:
            rank = rank_correlation(base, found)
            shares = [f"{percent(agreement(base, found, rule))} under {rule}" for rule in RULES]
            sentences.append(
                f"{name} orders the features with a rank correlation of {number(rank)} to {data.estimator} and "
                f"gives the same class to {listing(shares)}."
            )
    return sentences
