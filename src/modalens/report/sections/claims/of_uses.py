"""Claims on what classes do: gender, requests hidden in images, generated pictures."""

from collections.abc import Iterator, Mapping
from math import nan
from typing import Any

from modalens.edit.index_sets import CLASS, RANDOM
from modalens.pairs.modality import many
from modalens.report.sections.claims.claim import Claim, Evidence
from modalens.statistics.intervals import Estimate, difference_interval
from modalens.studies.adversarial_images.tables import BENIGN, UNDEFENDED
from modalens.studies.adversarial_images.tables import PUBLISHED as PUBLISHED_SUCCESS
from modalens.studies.attribute_probing.attributes import GENDER, published_change
from modalens.studies.stats.sentences import capitalised

# The two kinds of random sets that a study compares a class with, by the end of their columns.
_KINDS = {"": "number", "_energy": "energy"}


def gender(found: Evidence) -> Iterator[Claim]:
    """A modality's own class tells gender on it, and female and male are told by different sides."""
    command = "modalens study gender RUN --attribute gender"
    results = found.results(GENDER.name)
    for side in ("image", "text"):
        modality = found.sides()[side]
        samples = many(modality)
        claim = f"Without {modality}-dominant features the gender of {samples} is told worse than without random ones"
        # As published, in parts of the accuracy before.
        effect = (_change(side, "all", side) - _change(side, "all", RANDOM)) / 100
        rows = [
            (features, row)
            for features, result in results
            if "accuracy" in result.tables
            for row in _largest(result.tables["accuracy"].to_dict("records"), modality)
        ]
        for end, kind in _KINDS.items():
            beside = f"random features of equal {kind}"
            for features, row in _with_difference(rows, end):
                told = f"{beside}: change {row.get(f'random_change{end}', nan):+.3f}"
                yield _difference(claim, features, nan if end else effect, -1, row, end, told, command)
            if not _with_difference(rows, end):
                yield Claim.missing(claim, nan if end else effect, -1, beside, command)
    yield from _between_values(found, command)


def _between_values(found: Evidence, command: str) -> Iterator[Claim]:
    """The published claim is a difference between genders, and between the two sides."""
    first, second = found.modalities
    claim = f"Female is told by {first}-dominant features of {many(first)} more than male is, "
    claim += f"and by {second}-dominant ones of {many(second)} less"
    own = (_change("image", "female", "image") - _change("image", "male", "image")) / 100
    effect = own - (_change("text", "female", "text") - _change("text", "male", "text")) / 100
    rows = [
        (features, row)
        for features, result in found.results(GENDER.name)
        if "between_values" in result.tables
        for row in result.tables["between_values"].to_dict("records")
        if row["input"] == "both" and {row["first"], row["second"]} == {"female", "male"}
    ]
    for features, row in rows:
        turn = 1 if row["first"] == "female" else -1
        low, high = sorted(turn * row[f"difference_{end}"] for end in ("low", "high"))
        control = sorted(turn * row[f"swapped_{end}"] for end in ("low", "high"))
        as_published = row["edited"] == "sample"
        edited = "samples edited, as published" if as_published else "references edited alike"
        yield Claim(
            f"{claim}; {edited}",
            features,
            effect if as_published else nan,
            -1,
            turn * row["difference"],
            low,
            high,
            f"labels swapped: {control[0]:.3f} to {control[1]:.3f}",
            command,
            *control,
        )
    if not rows:
        yield Claim.missing(claim, effect, -1, "labels swapped", command)


def _change(modality: str, value: str, without: str) -> float:
    return published_change(GENDER, modality, value, without)


def _largest(rows: list[dict[Any, Any]], modality: str) -> list[dict[Any, Any]]:
    """The rows of a modality without its own class at the largest size that the classes were compared at."""
    own = [
        row
        for row in rows
        if row.get("kind") == CLASS and (row.get("input"), row.get("without")) == (modality, modality)
    ]
    return sorted(own, key=lambda row: row["removed"])[-1:]


def adversarial(found: Evidence) -> Iterator[Claim]:
    """The attack works, and aligning text or cross features defends better than random ones."""
    command = "modalens study adversarial RUN --features raw"
    rows = [
        (str(row.get("of") or features), row)
        for features, result in found.results("adversarial")
        if "success" in result.tables
        for row in result.tables["success"].to_dict("records")
    ]
    claim = "Attacked images get their way more often than benign ones"
    effect = PUBLISHED_SUCCESS[UNDEFENDED] - PUBLISHED_SUCCESS[BENIGN]
    rates = {str(row["set"]): row for _, row in rows[::-1]}
    if UNDEFENDED in rates and BENIGN in rates:
        value, low, high = _between_rates(rates[UNDEFENDED], rates[BENIGN])
        told = f"benign images: {rates[BENIGN]['rate']:.3f}"
        yield Claim(claim, "raw", effect, 1, value, low, high, told, command, most=1)
    else:
        yield Claim.missing(claim, effect, 1, "benign images", command)
    yield from _any_defence(found, rows, command)
    for theirs, sign in (("text", -1), ("cross", -1), ("image", 1)):
        name = found.sides()[theirs]
        often = "less" if sign < 0 else "more"
        claim = f"Aligned on {name}-dominant features attacked images get their way {often} often than on random ones"
        effect = PUBLISHED_SUCCESS[theirs] - PUBLISHED_SUCCESS[RANDOM]
        own = [(features, row) for features, row in rows if (row["kind"], row["set"]) == (CLASS, name)]
        for end, kind in _KINDS.items():
            beside = f"random features of equal {kind}"
            for features, row in _with_difference(own, end):
                published = effect if features == "raw" and not end else nan
                told = f"{beside}: {row[f'random{end}']:.3f}"
                yield _difference(claim, features, published, sign, row, end, told, command)
            if not _with_difference(own, end):
                yield Claim.missing(claim, nan if end else effect, sign, beside, command)


def _any_defence(found: Evidence, rows: list[tuple[str, dict[Any, Any]]], command: str) -> Iterator[Claim]:
    """Alignment on any features takes some of the requests out, random ones too."""
    undefended = next((row for _, row in rows if row["set"] == UNDEFENDED), None)
    names = {
        RANDOM: RANDOM,
        **{f"{found.sides()[theirs]}-dominant": theirs for theirs in ("image", "cross", "text")},
    }
    for called, theirs in names.items():
        claim = f"Aligned on {called} features attacked images get their way less often than undefended"
        effect = PUBLISHED_SUCCESS[theirs] - PUBLISHED_SUCCESS[UNDEFENDED]
        name, kind = (RANDOM, RANDOM) if theirs == RANDOM else (found.sides()[theirs], CLASS)
        own = [(features, row) for features, row in rows if (row["kind"], row["set"]) == (kind, name)]
        if undefended is None or not own:
            yield Claim.missing(claim, effect, -1, "undefended", command)
            continue
        for features, row in own:
            told = f"undefended: {undefended['rate']:.3f}"
            published = effect if features == "raw" else nan
            yield Claim(
                claim, features, published, -1, *_between_rates(row, undefended), told, command, most=1
            )


def _between_rates(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> Estimate:
    return difference_interval(
        *((each["rate"], each["rate_low"], each["rate_high"]) for each in (first, second))
    )


def text_to_image(found: Evidence) -> Iterator[Claim]:
    """Text features carry what is drawn, image features how; the papers say so of pictures, without a number."""
    command = "modalens study text-to-image RUN"
    rows = [
        (f"{features}, {row['space']}", row)
        for features, result in found.results("text-to-image")
        if "slopes" in result.tables
        for row in result.tables["slopes"].to_dict("records")
        if (row["measure"], row["kind"]) == ("content_less_surface", CLASS)
    ]
    for theirs, sign, what in (("text", 1, "content"), ("image", -1, "surface")):
        name = found.sides()[theirs]
        other = "surface" if what == "content" else "content"
        claim = f"{capitalised(name)}-dominant features carry more of a picture's {what} than of its {other}, beside "
        claim += "random ones"
        own = [(features, row) for features, row in rows if row["set"] == name]
        for features, row in own:
            told = f"random features of equal {row['matched']}: {row['random']:.3f}"
            yield _difference(claim, features, nan, sign, row, "", told, command)
        if not own:
            yield Claim.missing(claim, nan, sign, "random features of equal number and energy", command)


def _with_difference(rows: list[tuple[str, dict[Any, Any]]], end: str) -> list[tuple[str, dict[Any, Any]]]:
    """Those that were compared with one kind of random sets."""
    return [
        (name, row) for name, row in rows if row.get(f"difference{end}", nan) == row.get(f"difference{end}")
    ]


def _difference(
    claim: str,
    features: str,
    published: float,
    sign: int,
    row: Mapping[Any, Any],
    end: str,
    beside: str,
    command: str,
) -> Claim:
    """What a study measured as a difference to random sets."""
    value, low, high = (row.get(f"difference{end}{side}", nan) for side in ("", "_low", "_high"))
    return Claim(claim, features, published, sign, value, low, high, beside, command, most=1)
