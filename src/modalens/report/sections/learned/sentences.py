"""What learned features show that those of the baselines do not, in sentences computed from the numbers."""

from modalens.dominance import Dominance
from modalens.report.data import LearnedResult, ReportData
from modalens.report.headline import MOST
from modalens.report.naming import Naming, listing, number, percent
from modalens.report.sections.learned.tables import scores_of
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
        return f"{sentence}; without an untrained twin this says nothing of what was learned."
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
                    f"{percent(found[0], 1)} for {naming.many(naming.side(side))}"
                    for side, found in each.fvu.items()
                ]
            )
            for each in (last, first)
        )
        beside = f", and {here} on the {first_name} pairs" if first_name != last_name else ""
        where = f"On {last_name} pairs " if first_name != last_name else ""
        sentences.append(f"{where}{learned.name} leaves {there} of the variance unexplained{beside}.")
    k = min(last.before.image_to_text)
    before, after = (found.image_to_text[k] for found in (last.before, last.after))
    clear = before[1] > after[2] or after[1] > before[2]
    way = "falls" if after[0] < before[0] else "rises"
    verdict = f"{way} from" if clear else "goes, inside the sampling error, from"
    kept = "reconstructions" if last.fvu else "projections"
    sentences.append(
        f"Retrieval R@{k} {verdict} {percent(before[0], 1)} with the embeddings to {percent(after[0], 1)} with the "
        f"{kept} of {learned.name}."
    )
    return sentences
