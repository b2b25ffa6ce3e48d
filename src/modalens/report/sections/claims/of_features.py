"""Claims on features and their classes: what they mean, and what a classifier loses without them."""

from collections.abc import Iterable, Iterator
from itertools import product
from math import nan

from modalens.interpret.published import PUBLISHED
from modalens.pairs.modality import many
from modalens.report.naming import adjective
from modalens.report.sections.claims.claim import RAW, Claim, Evidence
from modalens.studies.class_removal.study import PUBLISHED as PUBLISHED_REMOVAL

_CALLED = {"CLIP+SAE": "SAE", "CLIP+NCL": "NCL"}
METRICS = {"embsim": "EmbSim", "winrate": "WinRate"}
# What a difference of two of them can be at most; EmbSim has no bound.
LARGEST = {"embsim": nan, "winrate": 1.0}
# What a row of the removal study says beside random features of equal number and of equal energy.
_COMPARED = {
    "accuracy",
    *(f"{name}{end}" for name in ("random", "difference") for end in ("", "_energy")),
    *(f"difference{end}_{side}" for end in ("", "_energy") for side in ("low", "high")),
}


def monosemanticity(found: Evidence) -> Iterator[Claim]:
    """Learned features are more monosemantic than CLIP's dimensions: paired differences of the study of m."""
    tables = [result.tables for _, result in found.results("top-m")]
    rows = tables[0]["comparisons"].to_dict("records") if tables and "comparisons" in tables[0] else []
    written = {name.lower(): name for name in found.fidelities}
    for theirs, (metric, metric_name), side in product(_CALLED, METRICS.items(), ("image", "text")):
        name, modality = _CALLED[theirs], found.sides()[side]
        claim = f"{theirs} features have a higher {metric_name} than CLIP's dimensions, {many(modality)}"
        effect = getattr(PUBLISHED[theirs], f"{metric}_{side}") - getattr(
            PUBLISHED["CLIP"], f"{metric}_{side}"
        )
        beside = "the embeddings' own dimensions, same samples"
        command = "modalens study top-m RUN"
        measured = [
            (other, row, -1 if one == "raw" else 1)
            for row in rows
            if row["metric"] == metric and row["modality"] == modality
            for one, _, two in [str(row["comparison"]).partition(" over ")]
            if "raw" in (one, two)
            for other in [two if one == "raw" else one]
            if _is_kind(other, name)
        ]
        for other, row, turn in measured:
            low, high = sorted((turn * row["value_low"], turn * row["value_high"]))
            features = written.get(other, other)
            value = turn * row["value"]
            yield Claim(claim, features, effect, 1, value, low, high, beside, command, most=LARGEST[metric])
        if not measured:
            yield Claim.missing(claim, effect, 1, beside, _made_first(theirs, found.fidelities, command))


def _made_first(theirs: str, known: Iterable[str], command: str) -> str:
    """The command that measures a claim, after those that make the features it is on where a run has none."""
    if theirs not in _CALLED or any(_is_kind(each, _CALLED[theirs]) for each in known):
        return command
    interpret = "modalens interpret RUN"
    steps = [f"modalens train {_CALLED[theirs].lower()} RUN", interpret, command]
    return " && ".join(dict.fromkeys(steps))


def _is_kind(features: str, name: str) -> bool:
    """Whether features are of the kind that the papers' name stands for; autoencoders are named by their size too."""
    return features.lower().startswith(name.lower()) or (name == "SAE" and features.startswith("topk"))


def fidelity(found: Evidence) -> Iterator[Claim]:
    """A modality's own features are more monosemantic in it."""
    known, command = found.fidelities, "modalens interpret RUN"
    ways = dict(zip(("visual", "textual"), found.modalities, strict=True))
    for theirs, (metric, written), way in product(("CLIP", *_CALLED), METRICS.items(), ways):
        sign = -1 if theirs == "CLIP" else 1
        called = (
            "CLIP's dimensions of a modality are less"
            if sign < 0
            else f"{theirs} features of a modality are more"
        )
        claim = f"{called} monosemantic in it: {adjective(ways[way])} fidelity by {written}"
        effect = getattr(PUBLISHED[theirs], f"{way}_{metric}")
        own = [features for features in known if _is_of(features, theirs)]
        for features in own:
            here = known[features].fidelity(metric, ways[way])
            nulls = (here.null_low, here.null_high)
            beside = f"classes permuted: {nulls[0]:.3f} to {nulls[1]:.3f}"
            found_here = (here.value, here.low, here.high)
            most = LARGEST[metric]
            yield Claim(claim, features, effect, sign, *found_here, beside, command, *nulls, most=most)
        if not own:
            yield Claim.missing(claim, effect, sign, "classes permuted", _made_first(theirs, known, command))


def _is_of(features: str, theirs: str) -> bool:
    """Whether features are what the papers call so."""
    if theirs == "CLIP" or features == RAW:
        return theirs == "CLIP" and features == RAW
    return _is_kind(features, _CALLED[theirs])


def removal(found: Evidence) -> Iterator[Claim]:
    """A modality's own class costs more than random features of equal number or energy; the cross-modal one as much."""
    measured = [
        (features, row)
        for features, result in found.results("removal")
        if "removal" in result.tables
        for row in result.tables["removal"].to_dict("records")
    ]
    sides = found.sides()
    for each in PUBLISHED_REMOVAL:
        own = each.modality == each.without
        if not own and each.without != "cross":
            continue
        modality, without = sides[each.modality], sides[each.without]
        sign = -1 if own else 0
        rows = [
            (name, row)
            for name, row in measured
            if (row.get("modality"), row.get("without")) == (modality, without) and row.keys() >= _COMPARED
        ]
        for end, kind in (("", "number"), ("_energy", "energy")):
            claim = (
                f"Without {without}-dominant features {modality} accuracy falls further than without random ones"
                if own
                else f"Without cross-modal features {modality} accuracy falls as without random ones"
            )
            effect = each.accuracy - each.random if not end else nan
            command = "modalens study removal RUN --label COLUMN"
            for name, row in rows:
                beside = (
                    f"random features of equal {kind}: accuracy {row[f'random{end}']:.3f}, without the class "
                    f"{row['accuracy']:.3f}"
                )
                ends = (row[f"difference{end}_low"], row[f"difference{end}_high"])
                yield Claim(
                    claim, name, effect, sign, row[f"difference{end}"], *ends, beside, command, most=1
                )
            if not rows:
                yield Claim.missing(claim, effect, sign, f"random features of equal {kind}", command)
