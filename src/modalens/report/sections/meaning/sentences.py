"""What stands out of chance, and what the baselines show as well, in sentences computed from the numbers."""

from collections.abc import Mapping

import numpy as np

from modalens.interpret.fidelity import ClassAverage, ModalityFidelity
from modalens.pairs.modality import OWN
from modalens.report.data import InterpretedResult, Judge, ReportData
from modalens.report.naming import Naming, are_halves, capitalised, count, interval, listing, number
from modalens.report.sections.meaning.tables import VERDICTS, find
from modalens.statistics.controls import seen_with_power
from modalens.studies.stats.sentences import power_words

_SHARES = {
    "nothing": "shares no weights with {encoder}",
    "tower": "{encoder} holds as a frozen tower: features may mean to it what it meant before any training",
    "model": "is {encoder} itself, which flatters its features",
    "unknown": "may share weights with {encoder}: the records do not say",
}

# Random samples have an EmbSim of 0 but for noise; beyond this the noise is as large as what features have.
_EXPLODES = 0.25


def judge_sentences(data: ReportData) -> list[str]:
    """What said how alike samples are, and what it shares with the encoder under study."""
    naming, sentences = Naming(*data.modalities), []
    for side in data.modalities:
        judges = dict.fromkeys(each.judges[side] for each in data.main.interpreted if side in each.judges)
        for judge in judges:
            sentences.append(
                f"Likeness of {naming.many(side)} is judged by {_about_judge(judge, data.main.spoken)}."
            )
    return sentences


def _about_judge(judge: Judge, encoder: str) -> str:
    if judge.labels:
        columns = listing(list(judge.labels))
        return f"the labels they share ({columns}), which {encoder} has no part in"
    if judge.name == OWN:
        return f"the embeddings of {encoder} itself, which flatters features made of them"
    return f"{judge.name}, which {_SHARES[judge.shares].format(encoder=encoder)}"


def meaning_statements(data: ReportData) -> list[str]:
    """What stands out of chance, and what the baselines show as well."""
    sentences = []
    for found in data.main.interpreted:
        for side in data.modalities:
            sentences += _mono_sentence(data, found, side)
        sentences += _fidelity_sentences(data, found)
    return sentences


def meaning_lines(data: ReportData) -> list[tuple[str, str]]:
    """One set of features in a line, by its name: Mono and fidelity of either side beside chance."""
    naming = Naming(*data.modalities)
    lines = []
    for found in data.main.interpreted:
        parts = []
        for side in data.modalities:
            average = found.fidelity.average("mono", side)
            if average.features:
                ends = interval(average.low, average.high)
                parts.append(
                    f"Mono {number(average.mean)} on {naming.many(side)} ({ends}; chance {number(average.chance)})"
                )
            else:
                parts.append(f"fires for too few {naming.many(side)} to be scored")
        for side in data.modalities:
            fidelity = found.fidelity.fidelity("mono", side)
            if not np.isnan(fidelity.value):
                known = np.isfinite(fidelity.high - fidelity.low)
                ends = interval(fidelity.low, fidelity.high) if known else "no interval"
                parts.append(
                    f"{naming.adjective(side)} fidelity {number(fidelity.value)} ({ends}{_doubt(fidelity)})"
                )
        lines.append((found.name, capitalised(f"{'; '.join(parts)}.")))
    return lines


def verdict_statements(data: ReportData) -> list[str]:
    """How many one-sided features are private, and how many halves of a split concept, beside the baselines."""
    sentences = []
    for found in data.main.interpreted:
        totals = _totals(found.verdicts)
        one_sided = sum(totals.values())
        if not one_sided:
            sentences.append(f"{found.name} has no one-sided features under {found.rule}.")
            continue
        shuffled = _totals(found.shuffled_verdicts)
        twins = [
            (twin.spoken, _totals(other.verdicts))
            for twin in data.baselines
            if (other := find(twin, found.name)) is not None
        ]
        beside = {
            verdict: listing(
                [f"{count(shuffled[verdict])} with pairs shuffled"]
                + [
                    f"{count(there[verdict])} of {count(sum(there.values()))} in {name}"
                    for name, there in twins
                ]
            )
            for verdict in VERDICTS
        }
        sentences.append(
            f"Of {count(one_sided)} one-sided {found.name} features, {are_halves(totals['split'])} "
            f"({beside['split']}); for {count(totals['private'])} a partner on the other side is ruled out, "
            f"which calls {'it' if totals['private'] == 1 else 'them'} private ({beside['private']}), and "
            f"{count(totals['unclear'])} {'stays' if totals['unclear'] == 1 else 'stay'} unclear ({beside['unclear']})."
        )
    return sentences


def _totals(verdicts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Features of both sides by verdict."""
    return {verdict: sum(counts[verdict] for counts in verdicts.values()) for verdict in VERDICTS}


def _mono_sentence(data: ReportData, found: InterpretedResult, side: str) -> list[str]:
    samples = Naming(*data.modalities).many(side)
    average = found.fidelity.average("mono", side)
    if not average.features:
        return [f"No {found.name} feature fires for enough {samples} to be scored."]
    beside = []
    for baseline in data.baselines:
        other = find(baseline, found.name)
        if other is not None and (there := other.fidelity.average("mono", side)).features:
            beside.append(f"{number(there.mean)} in {baseline.spoken}")
    rest = f"; it is {listing(beside)}" if beside else ""
    sentence = (
        f"Over the {count(average.features)} {found.name} "
        f"{'feature that fires' if average.features == 1 else 'features that fire'} for enough {samples}, the "
        f"strongest {samples} are on average {_alike(average)}: Mono {number(average.mean)} "
        f"({interval(average.low, average.high)}), by chance {number(average.chance)}{rest}."
    )
    by_chance = found.fidelity.average("embsim", side).chance
    if abs(by_chance) > _EXPLODES:
        sentence += (
            f" Random {samples} have an EmbSim of {number(by_chance)} where 0 is due: two of them have a mean cosine "
            "near 0, by which EmbSim divides, so that EmbSim and Mono say nothing here."
        )
    return [sentence]


def _alike(average: ClassAverage) -> str:
    """How alike strongest samples are beside random ones, as far as the interval of Mono tells."""
    if average.low > average.chance:
        return "more alike than random ones"
    if average.high < average.chance:
        return "less alike than random ones"
    return f"not told from random ones ({_seen(average.low, average.high)})"


def _seen(low: float, high: float) -> str:
    """What an effect that is not told is worth, by its interval."""
    return "it has no interval" if np.isnan(high - low) else power_words(number(seen_with_power(low, high)))


def _fidelity_sentences(data: ReportData, found: InterpretedResult) -> list[str]:
    sentences = []
    naming = Naming(*data.modalities)
    for side in data.modalities:
        samples = naming.many(side)
        fidelity = found.fidelity.fidelity("mono", side)
        if np.isnan(fidelity.value):
            continue
        beside = []
        for baseline in data.baselines:
            other = find(baseline, found.name)
            if other is not None and not np.isnan(there := other.fidelity.fidelity("mono", side).value):
                beside.append(f"{number(there)} in {baseline.spoken}")
        rest = f"; it is {listing(beside)}" if beside else ""
        if not (fidelity.low > 0 or fidelity.high < 0):
            means = f"the two classes are not told apart in {samples} ({_seen(fidelity.low, fidelity.high)})"
        elif _as_permuted(fidelity):
            means = f"classes drawn at random differ as much in {samples}"
        else:
            more = "more" if fidelity.value > 0 else "less"
            means = f"features of the {side} side are {more} monosemantic in {samples} than those of the other side"
        sentences.append(
            f"{capitalised(naming.adjective(side))} fidelity of {found.name} is {number(fidelity.value)} "
            f"({interval(fidelity.low, fidelity.high)}; with classes permuted "
            f"{interval(fidelity.null_low, fidelity.null_high)}{rest}): {means}."
        )
    return sentences


def _doubt(fidelity: ModalityFidelity) -> str:
    """Why a fidelity says nothing, where it does not."""
    if not (fidelity.low > 0 or fidelity.high < 0):
        return ", not told from 0"
    return ", as classes drawn at random give" if _as_permuted(fidelity) else ""


def _as_permuted(fidelity: ModalityFidelity) -> bool:
    return fidelity.null_low <= fidelity.value <= fidelity.null_high
