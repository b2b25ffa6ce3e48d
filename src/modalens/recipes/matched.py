"""DeCLIP beside OpenAI's CLIP, which was trained on other pairs too, and beside the CLIP trained on DeCLIP's pairs."""

from collections.abc import Iterator, Mapping
from math import nan
from typing import Any

from modalens.interpret.published import PUBLISHED
from modalens.pairs.modality import many
from modalens.runs.interpretation import SIDES, Interpretation
from modalens.statistics.intervals import difference_interval

DECLIP, OPENAI, MATCHED = "DeCLIP", "CLIP", "CLIP on YFCC15M"
_TABLE = "DeCLIP less CLIP"
_CALLED = {
    OPENAI: "OpenAI's CLIP (not matched: other pairs and another objective)",
    MATCHED: "CLIP on the same pairs (matched: another objective alone)",
}


def against_twins(interpreted: Mapping[str, Interpretation]) -> Iterator[tuple[Any, ...]]:
    """What DeCLIP has more than each CLIP: the rows of a comparison without the last column.

    The interval is that of a difference of two independent averages; both are over the same samples, so it is rather
    too wide.
    """
    if DECLIP not in interpreted:
        return
    for twin, called in _CALLED.items():
        if twin not in interpreted:
            continue
        own, other = (interpreted[name].fidelity for name in (DECLIP, twin))
        for metric, written, theirs in (
            ("embsim_elementwise", "EmbSim (elementwise)", "embsim"),
            ("winrate", "WinRate", "winrate"),
        ):
            for side in SIDES:
                first, second = own.average(metric, side), other.average(metric, side)
                value, low, high = difference_interval(
                    (first.mean, first.low, first.high), (second.mean, second.low, second.high)
                )
                yield (
                    _TABLE,
                    called,
                    f"{written}, {many(side)}",
                    value,
                    low,
                    high,
                    _published(twin, f"{theirs}_{side}"),
                )
            for side, way in zip(SIDES, ("visual", "textual"), strict=True):
                a, b = own.fidelity(metric, side), other.fidelity(metric, side)
                value, low, high = difference_interval((a.value, a.low, a.high), (b.value, b.low, b.high))
                published = _published(twin, f"{way}_{theirs}")
                yield _TABLE, called, f"{way} fidelity by {written}", value, low, high, published


def said_of_matching(*, declip: bool, matched: bool) -> list[str]:
    """Which comparisons change one thing alone, in sentences."""
    learned = (
        "SAE and NCL features against CLIP's dimensions: matched, learned on the embeddings of the same model and "
        "judged on the same pairs."
    )
    removal = "Removal, on ViT-H/14 and COCO, against the other numbers: not matched, another model and other pairs."
    said = [learned, removal]
    if not declip:
        return said
    said.append(
        "DeCLIP against OpenAI's CLIP, as published: not matched. DeCLIP's pairs are 15 million of YFCC, CLIP's 400 "
        "million others, so a difference may be the data's."
    )
    if matched:
        said.append(
            "DeCLIP against the CLIP of its own release: matched. Both have the same towers and saw the same 15 "
            "million pairs of YFCC for as many steps; the objective differs, with the augmented views that it needs."
        )
    else:
        said.append(
            "The CLIP of DeCLIP's release, trained on the same pairs, was not measured; name its run as `matched`."
        )
    return said


def _published(twin: str, number: str) -> float:
    """The published difference; there is none to the matched twin."""
    if twin != OPENAI:
        return nan
    return float(getattr(PUBLISHED[DECLIP], number) - getattr(PUBLISHED[OPENAI], number))
