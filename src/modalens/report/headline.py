"""What the baselines leave over of the gap, in sentences computed from the numbers and from nothing else.

A score or a gap means something only beside its baselines (Liang et al. 2022; Schrodi et al. 2025), so
each sentence sets a number against the same number of a baseline or of swapped labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modalens.dominance import ModalityGap
from modalens.report.data import EncoderResult, ReportData
from modalens.report.naming import begun, interval, listing, number, percent

# A baseline with more than this share of the main gap has most of it; with less than the other, hardly any.
MOST, _HARDLY = 0.8, 0.2


@dataclass(frozen=True)
class GapShare:
    """How much of the main encoder's L2M a baseline has as well.

    ``share`` is that of the unbiased values, which are 0 where there is no gap: 1 is all of it. ``verdict`` is
    "larger", "same" (inside the sampling error of the difference), "most", "part" or "hardly any".
    """

    baseline: EncoderResult
    share: float
    verdict: str


def gap_share(main: ModalityGap, baseline: EncoderResult) -> GapShare:
    """Hold a baseline's L2M against the main encoder's."""
    gap = baseline.gap
    share = (
        gap.l2m_unbiased / main.l2m_unbiased if main.l2m_unbiased else math.nan
    )  # then it is the same or larger
    if abs(gap.l2m_unbiased - main.l2m_unbiased) <= math.hypot(_half_width(main), _half_width(gap)):
        verdict = "same"
    elif gap.l2m_unbiased > main.l2m_unbiased:
        verdict = "larger"
    elif share >= MOST:
        verdict = "most"
    else:
        verdict = "part" if share >= _HARDLY else "hardly any"
    return GapShare(baseline, share, verdict)


def headline(data: ReportData) -> list[str]:
    """What the baselines leave over of the gap, in one to four short sentences."""
    gap = data.main.gap
    value, floor = number(gap.l2m_unbiased), gap.null.get("l2m_unbiased")
    low, high = gap.intervals.get("l2m_unbiased", (math.nan, math.nan))
    if floor is None:
        opening = f"The gap (L2M {value}) was measured without resampling: it has no interval."
    elif not low > floor[2]:
        return [
            (
                f"The gap (L2M {value}, {interval(low, high)}) cannot be told from what swapping labels at random "
                f"makes of it (97.5 % of draws stay under {number(floor[2])})."
            ),
            f"If there is one, it is hardly larger than {number(high)}.",
        ]
    else:
        opening = (
            f"The gap (L2M {value}, {interval(low, high)}) is larger than swapped labels make it (97.5 % of draws "
            f"stay under {number(floor[2])}): {' and '.join(data.modalities)} do lie apart."
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
        sentences.append(f"{begun(listing([_part(each) for each in part]))}{rest}.")
    if closed:
        names = [f"{each.baseline.spoken} ({number(each.baseline.gap.l2m_unbiased)})" for each in closed]
        owed = _isolated(closed, "and on")
        rest = f", so it hangs on {owed}" if owed else ""
        sentences.append(f"In {listing(names)} it all but closes{rest}.")
    return sentences


def _half_width(gap: ModalityGap) -> float:
    low, high = gap.intervals.get("l2m_unbiased", (0.0, 0.0))
    return 0.0 if math.isnan(high - low) else (high - low) / 2


def _as_much(shares: Sequence[GapShare]) -> str:
    clauses = []
    for verdict, words in (("larger", "a larger one"), ("same", "the same within sampling error")):
        names = [
            f"{each.baseline.spoken} ({number(each.baseline.gap.l2m_unbiased)})"
            for each in shares
            if each.verdict == verdict
        ]
        if names:
            clauses.append(f"{listing(names)} {'has' if len(names) == 1 else 'have'} {words}")
    return listing(clauses + [_part(each) for each in shares if each.verdict == "most"])


def _part(each: GapShare) -> str:
    return (
        f"{each.baseline.spoken} has {percent(each.share)} of it ({number(each.baseline.gap.l2m_unbiased)})"
    )


def _isolated(shares: Sequence[GapShare], joint: str) -> str:
    named = list(dict.fromkeys(each.baseline.isolates for each in shares if each.baseline.isolates))
    return f" {joint} ".join(named)
