"""What class counts leave over beside swapped labels, in sentences computed from them."""

from collections.abc import Sequence

from modalens.dominance.classes import moments
from modalens.report.data import ReportData
from modalens.report.naming import ROLES, Naming, count, counted_groups, number, percent
from modalens.report.tails import live

_SETTLED = 0.95


def count_statements(data: ReportData, naming: Naming) -> list[str]:
    """What the class counts of the rules leave over beside swapped labels, and how settled they are."""
    scores = data.scores
    alive = live(scores)
    sentences = []
    if scores.null is not None and alive:
        here, swapped = scores.counts("mu_sigma"), scores.null.class_counts["mu_sigma"]
        order = [naming.label(role) for role in ROLES[:3]]
        shares, null = ([counts[name] / alive for name in order] for counts in (here, swapped))
        differ = max(abs(a - b) for a, b in zip(shares, null, strict=True))
        verdict = (
            "nearly the same, so these counts say nothing by themselves"
            if differ < 0.05
            else "so a count of this rule is no evidence of one-sided features by itself"
        )
        sentences.append(
            f"mu_sigma cuts at one σ from the mean, however narrow the scores are: it splits these features "
            f"{_split(shares)} ({_order(naming)}) and features with swapped labels {_split(null)}, {verdict}."
        )
        one_sided = sum(scores.counts("twofold")[name] for name in data.modalities)
        chance = sum(scores.null.class_counts["twofold"][name] for name in data.modalities)
        sentences.append(
            f"twofold asks that the share of one side be at least twice the other's, which means the same on every "
            f"model: {count(one_sided)} of {count(alive)} features here, {count(chance)} with labels swapped."
        )
    tails = scores.tails("mu_sigma")
    if any(tails.values()):
        first, second = data.modalities
        mean, std = (float(each) for each in moments(scores.score))
        sentences.append(
            f"Mind that mu_sigma leaves {count(tails[first])} features over 0.9 and {count(tails[second])} under "
            f"0.1 in {naming.short('cross')}, since its bounds are {number(mean - std)} and {number(mean + std)}; "
            f"read twofold here."
        )
    if alive:
        groups = counted_groups(scores)
        sentences.append(
            f"Noise moves features across the bounds, so counts of few pairs are biased; these rest on "
            f"{count(scores.n_pairs)} pairs{' ' + groups if groups else ''}."
        )
    if scores.resamples and alive:
        settled = int((scores.probability >= _SETTLED).sum())
        left = count(alive - settled)
        rest = f"; with other pairs the other {left} could be of another class" if settled < alive else ""
        sentences.append(
            f"Under {scores.rule}, {count(settled)} of {count(alive)} features keep their class in at least "
            f"{percent(_SETTLED)} of the resamples{rest}."
        )
    return sentences


def _split(shares: Sequence[float]) -> str:
    return "/".join(number(100 * share, 0) for share in shares) + "\u00a0%"


def _order(naming: Naming) -> str:
    return "/".join(naming.label(role) for role in ROLES[:3])
