"""What the numbers say, in sentences computed from them and from nothing else.

A score or a gap means something only beside its baselines (Liang et al. 2022; Schrodi et al. 2025), so
each sentence sets a number against the same number of a baseline or of swapped labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modalens.dominance import Dominance, ModalityGap
from modalens.dominance.classes import moments
from modalens.report.data import EncoderResult, ReportData
from modalens.report.learned import OUTER, outer_share
from modalens.report.naming import ROLES, Naming, capitalised, count, interval, listing, number, percent
from modalens.report.tables import agreement, rank_correlation

# A baseline with more than this share of the main gap has most of it; with less than the other, hardly any.
_MOST, _HARDLY = 0.8, 0.2
_SETTLED = 0.95


@dataclass(frozen=True)
class GapShare:
    """How much of the main encoder's L2M a baseline has as well.

    ``share`` is counted from each encoder's own label-swap floor: 1 is all of it. ``verdict`` is "larger",
    "same" (inside the sampling error of the difference), "most", "part" or "hardly any".
    """

    baseline: EncoderResult
    share: float
    verdict: str


def gap_share(main: ModalityGap, baseline: EncoderResult) -> GapShare:
    """Hold a baseline's L2M against the main encoder's."""
    gap = baseline.gap
    share = max(0.0, gap.l2m - _floor(gap)) / max(main.l2m - _floor(main), 1e-12)
    if abs(gap.l2m - main.l2m) <= math.hypot(_half_width(main), _half_width(gap)):
        verdict = "same"
    elif gap.l2m > main.l2m:
        verdict = "larger"
    elif share >= _MOST:
        verdict = "most"
    else:
        verdict = "part" if share >= _HARDLY else "hardly any"
    return GapShare(baseline, share, verdict)


def headline(data: ReportData) -> list[str]:
    """What the baselines leave over of the gap, in one to four short sentences."""
    gap = data.main.gap
    floor = gap.null.get("l2m")
    if floor is None:
        opening = f"The gap (L2M {number(gap.l2m)}) was measured without resampling: it has no interval."
    elif not _beyond_null(gap):
        chance = interval(*floor[1:])
        return [
            f"The gap (L2M {number(gap.l2m)}) is no larger than swapping labels at random can make it ({chance}).",
            "So there is no gap here to explain.",
        ]
    else:
        times = f"{gap.l2m / floor[0]:.0f} times" if gap.l2m > 2 * floor[0] > 0 else "more than"
        opening = (
            f"The gap (L2M {number(gap.l2m)}) is {times} what swapped labels give ({number(floor[0])}): "
            f"{' and '.join(data.modalities)} do lie apart."
        )
    if not data.baselines:
        return [opening, "No untrained model stands beside it, so nothing here says that training made it."]

    shares = [gap_share(gap, baseline) for baseline in data.baselines]
    have = [each for each in shares if each.verdict in ("larger", "same", "most")]
    part = [each for each in shares if each.verdict == "part"]
    closed = [each for each in shares if each.verdict == "hardly any"]
    sentences = [opening]
    if have:
        owed = _isolated(have, "or to")
        consequence = f"its size cannot be credited to {owed}" if owed else "its size is nothing of its own"
        sentences.append(f"But {_as_much(have)}, so {consequence}.")
    if part:
        owed = _isolated(part, "or to")
        rest = f", so at most the rest can be owed to {owed}" if owed else ""
        sentences.append(f"{capitalised(listing([_part(each) for each in part]))}{rest}.")
    if closed:
        names = [f"{each.baseline.spoken} ({number(each.baseline.gap.l2m)})" for each in closed]
        owed = _isolated(closed, "and on")
        rest = f", so it hangs on {owed}" if owed else ""
        sentences.append(f"In {listing(names)} it all but closes{rest}.")
    return sentences


def gap_statements(data: ReportData) -> list[str]:
    """What the other measures of the gap say, and what retrieval says beside them."""
    gap = data.main.gap
    first, second = data.modalities
    sentences = []
    null = gap.null.get("separability")
    beside = f" (labels swapped: {percent(null[0])})" if null else ""
    sentences.append(
        f"A linear classifier tells {first} from {second} for {percent(gap.separability)} of held-out "
        f"embeddings{beside}."
    )
    if math.isfinite(gap.rmg):
        closer = gap.rmg < 0.5
        sentences.append(
            f"RMG is {number(gap.rmg)}: the halves of a pair lie {'closer together' if closer else 'farther apart'} "
            "than two samples of one modality do on average."
        )
    return sentences


def retrieval_statements(data: ReportData) -> list[str]:
    """Which encoders find the other half of a pair, and which only guess."""
    first, second = data.modalities
    sentences, guessing = [], []
    for encoder in data.encoders:
        if (found := encoder.retrieval) is None:
            continue
        k = min(found.chance)
        ways, chance = (found.image_to_text[k], found.text_to_image[k]), found.chance[k]
        if all(low <= chance for _, low, _ in ways):
            guessing.append(encoder.spoken)
        else:
            there, back = (percent(way[0], 1) for way in ways)
            sentences.append(
                f"{capitalised(encoder.spoken)} finds the right {second} first in {there} of cases and the right "
                f"{first} in {back}; "
                f"chance is {percent(chance, 1)}."
            )
    if guessing:
        verb = "does" if len(guessing) == 1 else "do"
        sentences.append(f"{capitalised(listing(guessing))} {verb} no better than chance.")
    return sentences


def spread_statements(data: ReportData) -> list[str]:
    """How wide the scores spread, beside swapped labels and baselines."""
    scores = data.scores
    sentences = []
    if scores.null is not None and _live(scores):
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
        if baseline.isolates and ratio >= _MOST:
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


def count_statements(data: ReportData, naming: Naming) -> list[str]:
    """What the class counts of either rule leave over beside swapped labels, and how settled they are."""
    scores = data.scores
    live = _live(scores)
    sentences = []
    if scores.null is not None and live:
        here, swapped = scores.counts("mu_sigma"), scores.null.class_counts["mu_sigma"]
        order = [naming.label(role) for role in ROLES[:3]]
        shares, null = ([counts[name] / live for name in order] for counts in (here, swapped))
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
            f"twofold asks that one side be at least twice as strong, which means the same on every model: "
            f"{count(one_sided)} of {count(live)} features here, {count(chance)} with labels swapped."
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
    if scores.resamples and live:
        settled = int((scores.probability >= _SETTLED).sum())
        sentences.append(
            f"Under {scores.rule}, {count(settled)} of {count(live)} features keep their class in at least "
            f"{percent(_SETTLED)} of the resamples; the other {count(live - settled)} lie near a bound."
        )
    return sentences


def estimator_statements(data: ReportData) -> list[str]:
    """How far the other estimators agree with the one the page is about."""
    base = data.scores
    sentences = []
    for name, found in data.main.dominance.items():
        if isinstance(found, str):
            sentences.append(f"{name} is not defined here: {found}")
        elif name != data.estimator:
            rank = rank_correlation(base, found)
            shares = [
                f"{percent(agreement(base, found, rule))} under {rule}" for rule in ("mu_sigma", "twofold")
            ]
            sentences.append(
                f"{name} orders the features with a rank correlation of {number(rank)} to {data.estimator} and "
                f"gives the same class to {listing(shares)}."
            )
    return sentences


def _floor(gap: ModalityGap) -> float:
    mean = gap.null.get("l2m", (0.0,))[0]
    return 0.0 if math.isnan(mean) else mean


def _half_width(gap: ModalityGap) -> float:
    low, high = gap.intervals.get("l2m", (0.0, 0.0))
    return 0.0 if math.isnan(high - low) else (high - low) / 2


def _beyond_null(gap: ModalityGap) -> bool:
    return gap.l2m - _half_width(gap) > gap.null["l2m"][2]


def _as_much(shares: Sequence[GapShare]) -> str:
    clauses = []
    for verdict, words in (("larger", "a larger one"), ("same", "the same within sampling error")):
        names = [
            f"{each.baseline.spoken} ({number(each.baseline.gap.l2m)})"
            for each in shares
            if each.verdict == verdict
        ]
        if names:
            clauses.append(f"{listing(names)} {'has' if len(names) == 1 else 'have'} {words}")
    return listing(clauses + [_part(each) for each in shares if each.verdict == "most"])


def _part(each: GapShare) -> str:
    return f"{each.baseline.spoken} has {percent(each.share)} of it ({number(each.baseline.gap.l2m)})"


def _isolated(shares: Sequence[GapShare], joint: str) -> str:
    named = list(dict.fromkeys(each.baseline.isolates for each in shares if each.baseline.isolates))
    return f" {joint} ".join(named)


def _live(scores: Dominance) -> int:
    return int((~np.isnan(scores.score)).sum())


def _split(shares: Sequence[float]) -> str:
    return "/".join(number(100 * share, 0) for share in shares) + "\u00a0%"


def _order(naming: Naming) -> str:
    return "/".join(naming.label(role) for role in ROLES[:3])
