"""What the gap measures and retrieval say, in sentences computed from them."""

import math

from modalens.report.data import ReportData
from modalens.report.naming import Naming, begun, listing, number, percent


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
    if guessing:
        verb = "does" if len(guessing) == 1 else "do"
        sentences.append(f"{begun(listing(guessing))} {verb} no better than chance.")
    return sentences
