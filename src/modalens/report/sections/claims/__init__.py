"""The claims of the papers, one a row: what was published, what this run measures, and whether the claim holds here."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isnan

import pandas as pd

from modalens.report.data import ReportData
from modalens.report.section import Section
from modalens.report.sections.claims.claim import Claim as Claim
from modalens.report.sections.claims.claim import Evidence as Evidence
from modalens.report.sections.claims.of_features import fidelity, monosemanticity, removal
from modalens.report.sections.claims.of_models import declip
from modalens.report.sections.claims.of_uses import adversarial, gender, text_to_image
from modalens.report.sections.claims.verdicts import NOT_MEASURED

RULE = (
    "A claim holds where the 95 % interval of its effect lies on the claimed side of 0 and the effect is larger than "
    "what its control reaches there; it does not hold where the interval lies on the other side and the effect is "
    "larger than what its control reaches there. It is no more than its control where the interval lies on either side "
    "and the effect is not larger. Otherwise it is not decided, and the effect that would have been seen (at level "
    ".05 with power .8) stands beside. A claim of no effect does not hold where the interval excludes 0, and is not "
    "decided otherwise. Each verdict is of one claim, without a correction for there being many."
)
UNITS = (
    "What is lost without a class is measured here in accuracy beyond chance (right answers less the share of samples "
    "that have the label answered), published in accuracy, and of gender in parts of the accuracy before."
)


def claims_of(found: Evidence) -> list[Claim]:
    """Every claim for every representation that has it measured, and once where none has.

    What only images have, such as requests hidden in them, is no claim on pairs of anything else.
    """
    rivals = {
        kind: {_key(each): each.value for each in _measured(beside) if not isnan(each.value)}
        for kind, beside in found.beside.items()
    }
    claims = []
    for each in _measured(found):
        told = [f"{kind} {of[_key(each)]:.3f}" for kind, of in rivals.items() if _key(each) in of]
        # An attack is none of the features': its row is the embeddings'.
        claims.append(each if each.features in ("", "raw") else replace(each, dictionaries=", ".join(told)))
    return claims


def _measured(found: Evidence) -> Iterator[Claim]:
    parts = [monosemanticity, fidelity, removal, gender]
    if found.modalities[0] == "image":
        parts += [adversarial, text_to_image, declip]
    for part in parts:
        yield from part(found)


def _key(each: Claim) -> tuple[str, str, str]:
    """What tells a row from the others whatever was measured: the control without its value."""
    return each.claim, each.features, each.control.partition(":")[0]


def sections(data: ReportData) -> Sequence[Section]:
    """Every claim, where at least one was measured."""
    claims = claims_of(Evidence.of(data))
    if all(each.verdict == NOT_MEASURED for each in claims):
        return []
    shown = {"claims": claims, "rule": RULE, "units": UNITS}
    found = Counter(each.verdict for each in claims)
    gist = f"Claims by verdict here: {', '.join(f'{verdict} {count}' for verdict, count in found.most_common())}."
    tables = {"claims": claims_frame(claims)}
    return [Section("claims", "What the papers claim", __name__, shown, tables=tables, gist=gist)]


def claims_frame(claims: Sequence[Claim]) -> pd.DataFrame:
    """One row a claim, with its verdict."""
    return pd.DataFrame(
        [{**vars(each), "verdict": each.verdict, "detectable": each.detectable} for each in claims]
    )


def claims_markdown(claims: Sequence[Claim]) -> str:
    """The rule, the units and a table of Markdown."""
    head = "| claim | features | published | here | interval | beside | verdict |"
    return "\n".join([RULE, "", UNITS, "", head, "|---|---|--:|--:|--:|---|---|", *map(_row, claims)])


def _row(each: Claim) -> str:
    cells = [each.claim, each.features, _number(each.published), _number(each.value)]
    said = each.verdict_in_words
    if said == NOT_MEASURED:
        said += ": no interval" if each.features else f": run `{each.command}`"
    beside = f"{each.control}; {each.dictionaries}" if each.dictionaries else each.control
    interval = "" if isnan(each.low) else f"{each.low:.3f} to {each.high:.3f}"
    return f"| {' | '.join(_cells([*cells, interval, beside, said]))} |"


def _cells(texts: Sequence[str]) -> Iterator[str]:
    return (text.replace("|", "/") for text in texts)


def _number(value: float) -> str:
    return "" if isnan(value) else f"{value:.3f}"
