"""How wide the scores spread, in sentences computed from them."""

import numpy as np

from modalens.dominance import Dominance
from modalens.report.data import ReportData
from modalens.report.headline import MOST
from modalens.report.naming import ROLES, Naming, count, listing, number, percent
from modalens.report.tails import OUTER, live, outer_share


def describe_distribution(scores: Dominance, naming: Naming) -> str:
    """The histogram of the scores, in words."""
    found = scores.score[~np.isnan(scores.score)]
    if not len(found):
        return "No feature has a score: all are dead."
    counts = scores.counts()
    classes = ", ".join(f"{count(counts[naming.label(role)])} {naming.short(role)}" for role in ROLES)
    return (
        f"Histogram of R over {count(len(found))} features: from {number(float(found.min()))} to "
        f"{number(float(found.max()))}, mean {number(scores.mean)}, standard deviation {number(scores.std)}; "
        f"{classes}. The solid line is the mean, the dashed ones are the class bounds of {scores.rule}."
    )


def spread_statements(data: ReportData) -> list[str]:
    """How wide the scores spread, beside swapped labels and baselines."""
    scores = data.scores
    sentences = []
    if scores.null is not None and live(scores):
        top = float(np.quantile(scores.null.stds, 0.975))
        verdict = (
            "so features do lean to one side, beyond what chance gives"
            if scores.std > top
            else "so the scores spread no wider than chance gives"
        )
        sentences.append(
            f"R spreads with σ = {number(scores.std)}; with labels swapped it spreads with "
            f"{number(float(scores.null.stds.mean()))} (97.5 % of draws stay under {number(top)}), {verdict}."
        )
    for baseline in data.baselines:
        found = baseline.scores(data.estimator)
        if found is None or not scores.std > 0:
            continue
        ratio = found.std / scores.std
        if abs(ratio - 1) <= 0.05:
            amount = "about as wide"
        else:
            amount = f"{percent(ratio)} as wide" if ratio < 1 else f"{number(ratio, 1)} times as wide"
        tail = ""
        if baseline.isolates and ratio >= MOST:
            tail = f", so the spread cannot be credited to {baseline.isolates}"
        sentences.append(f"In {baseline.spoken} R spreads {amount}, σ = {number(found.std)}{tail}.")
    outer = outer_share(scores)[0]
    if outer >= 0.1:
        others = [(each.spoken, each.scores(data.estimator)) for each in data.baselines]
        beside = [
            f"{percent(outer_share(found)[0])} in {name}" for name, found in others if found is not None
        ]
        rest = f", against {listing(beside)}" if beside else ""
        sentences.append(
            f"{percent(outer)} of the features lie under {OUTER} or over {1 - OUTER}{rest}; two peaks alone are "
            "no evidence of learned, modality-specific concepts."
        )
    return sentences
