"""The feature sets of a report in one line each, for the head of the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modalens.report.cards import Gallery
from modalens.report.data import InterpretedResult, ReportData
from modalens.report.naming import NOTHING, Naming, count, interval, listing, number, percent
from modalens.report.sections.dictionary.sentences import headline
from modalens.report.sections.learned.tables import scores_of

MOST_SETS = 6


@dataclass(frozen=True)
class SetLine:
    """One set of features: how many are one-sided, what they mean beside chance, and how many are found again.

    Attributes
    ----------
    name
        As everywhere on the page.
    one_sided
        Features under twofold that one side drives, of those that fire.
    mono
        Mono of either modality with its 95 % interval and, beside it, chance and the best dictionary baseline.
    split, split_small
        Halves of split concepts, and the same with pairs shuffled and in the dictionary baseline that has most.
    again
        Mean share of other seeds that find a feature.
    """

    name: str
    one_sided: str
    mono: Sequence[tuple[str, str]]
    split: str
    split_small: str
    again: str


def set_lines(data: ReportData) -> list[SetLine]:
    """Every interpreted set of features of the main encoder, in its order."""
    return [_line(data, found) for found in data.main.interpreted]


def _line(data: ReportData, found: InterpretedResult) -> SetLine:
    scores = scores_of(data.main, found.name, data.estimator)
    one_sided = NOTHING
    if scores is not None:
        counts = scores.counts("twofold")
        alive = sum(counts.values()) - counts["dead"]
        one_sided = f"{count(sum(counts[side] for side in data.modalities))} of {count(alive)}"
    split, shuffled = (
        sum(each["split"] for each in verdicts.values())
        for verdicts in (found.verdicts, found.shuffled_verdicts)
    )
    return SetLine(
        found.name,
        one_sided,
        [_mono(data, found, side) for side in data.modalities],
        count(split),
        _beside_split(data, found, shuffled),
        again(next((each for each in data.galleries if each.name == found.name), None)),
    )


def _beside_split(data: ReportData, found: InterpretedResult, shuffled: int) -> str:
    rivals = [sum(each["split"] for each in rival.verdicts.values()) for rival in _rivals(data, found)]
    most = f", baseline {count(max(rivals))}" if rivals else ""
    return f"shuffled {count(shuffled)}{most}"


def _rivals(data: ReportData, found: InterpretedResult) -> list[InterpretedResult]:
    """The dictionary baselines of some features that were interpreted."""
    return [
        each.interpreted
        for each in data.main.dictionaries
        if each.of == found.name and each.interpreted is not None
    ]


def _mono(data: ReportData, found: InterpretedResult, side: str) -> tuple[str, str]:
    average = found.fidelity.average("mono", side)
    if not average.features:
        return NOTHING, f"fires for too few {Naming(*data.modalities).many(side)}"
    rivals = [each.fidelity.average("mono", side).mean for each in _rivals(data, found)]
    best = max((each for each in rivals if not math.isnan(each)), default=math.nan)
    small = f"{interval(average.low, average.high, 2)}; chance {number(average.chance, 2)}"
    return number(average.mean, 2), small + ("" if math.isnan(best) else f", baseline {number(best, 2)}")


def again(gallery: Gallery | None) -> str:
    """The mean share of other seeds that find a feature of a gallery; nothing where no other seed was trained."""
    shares = [] if gallery is None else [card.found / card.seeds for card in gallery.cards if card.seeds]
    return percent(sum(shares) / len(shares)) if shares else NOTHING


def added_by_training(data: ReportData) -> list[str]:
    """What training each set of features adds to dictionaries of its size, or what would tell."""
    said = [line for _, line in headline(data)]
    beside = {each.of for each in data.main.dictionaries}
    lacking = [each.name for each in data.main.learned if each.command == "sae" and each.name not in beside]
    if lacking:
        said.append(
            f"No dictionary that is random in part or not trained stands beside {listing(lacking)}, so this page "
            "cannot say what training added to it; modalens train baselines makes them."
        )
    return said
