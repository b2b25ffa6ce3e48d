"""What learned features show that those of the baselines do not, in sentences computed from the numbers."""

import math

from modalens.dominance import Dominance
from modalens.report.data import LearnedResult, ReportData
from modalens.report.headline import MOST
from modalens.report.naming import Naming, capitalised, count, listing, number, percent
from modalens.report.sections.learned.tables import find, scores_of
from modalens.report.tails import OUTER, outer_share


def learned_statements(data: ReportData) -> list[str]:
    """What the learned features of the main encoder show that those of its baselines do not."""
    naming = Naming(*data.modalities)
    sentences = []
    for learned in data.main.learned:
        scores = learned.scores(data.estimator)
        if scores is not None:
            sentences.append(_tails_sentence(data, learned.name, scores))
        if learned.quality:
            sentences += _quality_sentences(learned, naming)
    return sentences


def learned_line(data: ReportData, learned: LearnedResult) -> str:
    """One set of learned features in a line: features at the ends of R, what is unexplained, retrieval after."""
    parts = []
    scores = learned.scores(data.estimator)
    if scores is not None:
        others = [
            f"{each.spoken} {percent(outer_share(found)[0])}"
            for each in data.baselines
            if (found := scores_of(each, learned.name, data.estimator)) is not None
        ]
        beside = f" ({', '.join(others)})" if others else ""
        parts.append(f"{percent(outer_share(scores)[0])} of features at the ends of R{beside}")
    if learned.quality:
        split, last = list(learned.quality.items())[-1]
        measured = []
        if last.fvu:
            shares = " and ".join(_share(found[0]) for found in last.fvu.values())
            measured.append(f"{shares} of the variance unexplained")
        k = min(last.before.image_to_text)
        before, after = (found.image_to_text[k][0] for found in (last.before, last.after))
        there, _ = _ways(Naming(*data.modalities))
        measured.append(
            f"R@{k} from {there} {percent(after, 1)} ({percent(before, 1)} with the embeddings) among "
            f"{count(last.before.n)}"
        )
        parts.append(f"on {said_pairs(learned, split)} {listing(measured)}")
    return capitalised(f"{'; '.join(parts)}.") if parts else ""


def beside_statements(data: ReportData) -> list[str]:
    """Which encoders beside the main one had the same features learned on them, and how to learn those that lack."""
    sentences = []
    lacking: dict[str, list[str]] = {}
    for learned in data.main.learned:
        same, other, without = [], [], []
        for baseline in data.baselines:
            found = find(baseline, learned.name)
            if found is None:
                without.append(baseline)
            elif (found.command, found.options) == (learned.command, learned.options):
                same.append(baseline.spoken)
            else:
                other.append(baseline.spoken)
        if same:
            how = "with the same settings on" if learned.command else "on other pairs, and so for"
            sentences.append(f"{learned.name} was learned {how} {listing(same)}.")
        if other:
            sentences.append(f"{learned.name} was learned with other settings on {listing(other)}.")
        for baseline in without:
            if learned.command and baseline.place:
                command = f"modalens train {learned.command} RUN/{baseline.place} {learned.options}".strip()
                sentences.append(
                    f"{learned.name} was not learned on {baseline.spoken}, so it lacks this baseline: {command} (RUN "
                    "is the folder of this run)."
                )
            else:
                lacking.setdefault(baseline.spoken, []).append(learned.name)
    for spoken, names in lacking.items():
        verb, rest = ("was", "it lacks") if len(names) == 1 else ("were", "they lack")
        sentences.append(f"{listing(names)} {verb} not learned on {spoken}, so {rest} this baseline.")
    return sentences


def _tails_sentence(data: ReportData, name: str, scores: Dominance) -> str:
    share, low, high = outer_share(scores)
    sentence = (
        f"{percent(share)} ({number(100 * low, 0)} to {percent(high)}) of the live {name} features lie under "
        f"{OUTER} or over {1 - OUTER}"
    )
    beside, owed = [], []
    for baseline in data.baselines:
        found = scores_of(baseline, name, data.estimator)
        if found is not None:
            other = outer_share(found)[0]
            beside.append(f"{percent(other)} in {baseline.spoken}")
            if baseline.isolates and other >= MOST * share:
                owed.append(baseline.isolates)
    if not beside:
        return (
            f"{sentence}; without these features on an untrained twin this says nothing of what was learned."
        )
    rest = f": features so one-sided cannot be credited to {' or to '.join(owed)}" if owed else ""
    return f"{sentence}, against {listing(beside)}{rest}."


def _quality_sentences(learned: LearnedResult, naming: Naming) -> list[str]:
    splits = list(learned.quality.items())
    (first_name, first), (last_name, last) = splits[0], splits[-1]
    sentences = []
    if last.fvu:
        there, here = (
            listing(
                [
                    f"{_share(found[0])} for {naming.many(naming.side(side))}"
                    for side, found in each.fvu.items()
                ]
            )
            for each in (last, first)
        )
        beside = f", and {here} on {said_pairs(learned, first_name)}" if first_name != last_name else ""
        sentences.append(
            f"On {said_pairs(learned, last_name)} {learned.name} leaves {there} of the variance unexplained{beside}."
        )
    kept = "reconstructions" if last.fvu else "projections"
    k = min(last.before.image_to_text)
    directions = zip(
        _ways(naming),
        (
            (last.before.image_to_text[k], last.after.image_to_text[k]),
            (last.before.text_to_image[k], last.after.text_to_image[k]),
        ),
        (" with the embeddings", ""),
        (f" with the {kept} of {learned.name}", ""),
        strict=True,
    )
    told = [
        f"{_moved(before, after)} {percent(before[0], 1)}{of} to {percent(after[0], 1)}{by} ({way})"
        for way, (before, after), of, by in directions
    ]
    sentences.append(
        f"On {said_pairs(learned, last_name)} retrieval R@{k}, among {count(last.before.n)} "
        f"{naming.many(naming.first)}, {' and '.join(told)}."
    )
    return sentences


def _ways(naming: Naming) -> tuple[str, str]:
    """The two directions of retrieval in words."""
    first, second = naming.one(naming.first), naming.one(naming.second)
    return f"{first} to {second}", f"{second} to {first}"


def _moved(before: tuple[float, float, float], after: tuple[float, float, float]) -> str:
    """Which way recall goes, as far as intervals that do not touch tell."""
    if before[1] > after[2] or after[1] > before[2]:
        return "falls from" if after[0] < before[0] else "rises from"
    return "goes, within intervals that overlap, from"


def _share(value: float) -> str:
    return "an undefined share (they do not vary)" if math.isnan(value) else percent(value, 1)


def said_pairs(learned: LearnedResult, split: str) -> str:
    """The pairs of a split, and whether the features were trained on them.

    A split is named where there are several, and its name does not say the same.
    """
    said = "the training pairs" if split in learned.trained_on else "held-out pairs"
    same = said.removeprefix("the ").startswith(split)
    return said if same or len(learned.quality) == 1 else f"{said} ({split})"
