"""What the gap measures and retrieval say, in sentences computed from them."""

import math

from modalens.dominance import ModalityGap
from modalens.report.data import ReportData
from modalens.report.naming import Naming, begun, count, interval, listing, number, percent

# Beyond this share of the interval's width, what noise adds to the published L2M is worth a sentence.
_NOTABLE = 0.1


def gap_statements(data: ReportData) -> list[str]:
    """What the other measures of the gap say, and what retrieval says beside them."""
    gap = data.main.gap
    first, second = data.modalities
    sentences = _noise_sentences(data)
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
    naming = Naming(*data.modalities)
    first, second = naming.one(naming.first), naming.one(naming.second)
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
                f"{begun(encoder.spoken)} finds the right {second} first in {there} of cases and the right "
                f"{first} in {back}; "
                f"chance is {percent(chance, 1)}."
            )
        if found.ties:
            sentences.append(
                f"In {encoder.spoken}, {count(found.ties)} of {count(found.n + found.texts)} queries have a wrong "
                "candidate as near as the right one; these count as missed."
            )
    if guessing:
        verb = "does" if len(guessing) == 1 else "do"
        sentences.append(f"{begun(listing(guessing))} {verb} no better than chance.")
    return sentences


def noisy_l2m(gap: ModalityGap) -> bool:
    """Whether noise adds so much to the published L2M that it has to be told."""
    low, high = gap.intervals.get("l2m_unbiased", (math.nan, math.nan))
    return abs(gap.l2m - gap.l2m_unbiased) > _NOTABLE * (high - low)


def _noise_sentences(data: ReportData) -> list[str]:
    """Why the published L2M lies over the unbiased one, for encoders where it does."""
    noisy = [each for each in data.encoders if noisy_l2m(each.gap)]
    if not noisy:
        return []
    told = [
        f"{number(each.gap.l2m)} against {number(each.gap.l2m_unbiased)} "
        f"({interval(*each.gap.intervals['l2m_unbiased'])}) for {each.spoken}"
        for each in noisy
    ]
    return [
        (
            f"L2M as published is larger: {listing(told)}. It is the distance of two sample means, and the noise of "
            f"the means, which falls with the number of {_unit(data.main.gap)}, adds to it; L2M itself leaves that out."
        )
    ]


def _unit(gap: ModalityGap) -> str:
    return "pairs" if gap.groups == gap.n_pairs else "groups"
