"""What the gap measures and retrieval say, in sentences computed from them."""

import math

from modalens.dominance import ModalityGap
from modalens.report.data import ReportData
from modalens.report.naming import Naming, begun, interval, listing, number, percent, small, tied

# Beyond this share of the interval's width, what noise adds to the published L2M is worth a sentence.
_NOTABLE = 0.1


def gap_statements(data: ReportData) -> list[str]:
    """What the other measures of the gap say, and what retrieval says beside them."""
    gap = data.main.gap
    first, second = data.modalities
    sentences = _noise_sentences(data)
    sentences.append(
        f"A linear classifier tells {first} from {second} for {percent(gap.separability, 1)} of held-out embeddings"
        f"{_beside(gap, 'separability', 100)}."
    )
    if math.isfinite(gap.rmg):
        sentences.append(f"RMG is {number(gap.rmg)}{_beside(gap, 'rmg')}: {_distances(gap)}.")
    return sentences


def _beside(gap: ModalityGap, name: str, scale: float = 1) -> str:
    """A measure's interval and what swapped labels give, in brackets; nothing where neither was measured."""
    digits = 3 if scale == 1 else 1
    low, high = gap.intervals.get(name, (math.nan, math.nan))
    parts = [interval(scale * low, scale * high, digits)] if math.isfinite(high - low) else []
    if name in gap.null:
        parts.append(f"labels swapped: {number(scale * gap.null[name][0], digits)}")
    return f" ({'; '.join(parts)})" if parts else ""


def _distances(gap: ModalityGap) -> str:
    """What RMG says of the halves of a pair, where its interval leaves no doubt."""
    low, high = gap.intervals.get("rmg", (math.nan, math.nan))
    if low <= 0.5 <= high:
        return "it is not told whether the halves of a pair lie closer together than two samples of one modality do"
    apart = "closer together" if gap.rmg < 0.5 else "farther apart"
    return f"the halves of a pair lie {apart} than two samples of one modality do on average"


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
            found_of = " and ".join(percent(way[0], 1) for way in ways)
            most = percent(max(high for _, _, high in ways), 1)
            guessing.append(f"{encoder.spoken} ({found_of}, at most {most}; chance is {_chance(chance)})")
        else:
            there, back = (percent(way[0], 1) for way in ways)
            sentences.append(
                f"{begun(encoder.spoken)} finds the right {second} first in {there} of cases and the right "
                f"{first} in {back}; "
                f"chance is {_chance(chance)}."
            )
        if found.ties:
            sentences.append(f"In {encoder.spoken}, {tied(found.ties, found.n + found.texts)}")
    if guessing:
        verb = "is" if len(guessing) == 1 else "are"
        sentences.append(f"{begun(listing(guessing))} {verb} not told from chance.")
    return sentences


def _chance(share: float) -> str:
    return f"{small(100 * share, 1)}\u00a0%"


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
