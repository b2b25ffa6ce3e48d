"""Every claim of the papers that is an effect with a sign, and what the run has of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from modalens.interpret.published import PUBLISHED
from modalens.report.data import ReportData, StudyOf
from modalens.report.sections.claims.verdicts import detectable, verdict
from modalens.studies.class_removal.study import PUBLISHED as PUBLISHED_REMOVAL

_RAW = "Raw"
_CALLED = {"CLIP+SAE": "SAE", "CLIP+NCL": "NCL"}


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    claim
        In words.
    features
        The representation that it is measured on here; empty where it was not measured.
    published
        The effect that was published.
    sign
        The sign that is claimed.
    value, low, high
        The effect here with its 95 % interval; NaN where it was not measured.
    control
        What it stands beside, in words.
    command
        What measures it.
    """

    claim: str
    features: str
    published: float
    sign: int
    value: float
    low: float
    high: float
    control: str
    command: str

    @property
    def verdict(self) -> str:
        """Whether it holds here: see :func:`modalens.report.sections.claims.verdicts.verdict`."""
        return verdict(self.sign, self.low, self.high)

    @property
    def detectable(self) -> float:
        """The effect that would have been seen."""
        return detectable(self.low, self.high)


def claims_of(data: ReportData) -> list[Claim]:
    """Every claim for every representation of the main encoder that has it measured, and once where none has."""
    return [*_monosemanticity(data), *_fidelity(data), *_removal(data)]


def _monosemanticity(data: ReportData) -> Iterator[Claim]:
    """Learned features are more monosemantic than CLIP's dimensions: paired differences of the study of m."""
    tables = [each.result.tables for each in _studies(data, "top-m")]
    rows = tables[0]["comparisons"].to_dict("records") if tables and "comparisons" in tables[0] else []
    for theirs, name in _CALLED.items():
        for side, modality in zip(("image", "text"), data.modalities, strict=True):
            claim = f"{theirs} features have a higher EmbSim than CLIP's dimensions, {modality}s"
            effect = getattr(PUBLISHED[theirs], f"embsim_{side}") - getattr(
                PUBLISHED["CLIP"], f"embsim_{side}"
            )
            beside = "the embeddings' own dimensions, same samples"
            command = "modalens study top-m RUN"
            found = [
                (other, row, -1 if one == "raw" else 1)
                for row in rows
                if row["metric"] == "embsim" and row["modality"] == modality
                for one, _, two in [str(row["comparison"]).partition(" over ")]
                if "raw" in (one, two)
                for other in [two if one == "raw" else one]
                if _is_kind(other, name)
            ]
            for other, row, turn in found:
                low, high = sorted((turn * row["value_low"], turn * row["value_high"]))
                yield Claim(claim, other, effect, 1, turn * row["value"], low, high, beside, command)
            if not found:
                yield Claim(claim, "", effect, 1, nan, nan, nan, beside, command)


def _is_kind(features: str, name: str) -> bool:
    """Whether features are of the kind that the papers' name stands for; autoencoders are named by their size too."""
    return features.lower().startswith(name.lower()) or (name == "SAE" and features.startswith("topk"))


def _fidelity(data: ReportData) -> Iterator[Claim]:
    """A modality's own features mean more in it."""
    known = {each.name: each.fidelity for each in data.main.interpreted}
    for theirs, name in _CALLED.items():
        for way, modality in zip(("visual", "textual"), data.modalities, strict=True):
            claim = f"{theirs} features of a modality are more monosemantic in it: {way} fidelity by WinRate"
            effect = getattr(PUBLISHED[theirs], f"{way}_winrate")
            command = "modalens interpret RUN"
            own = [features for features in known if features != _RAW and _is_kind(features, name)]
            for features in own:
                found = known[features].fidelity("winrate", modality)
                beside = f"classes permuted: {found.null_low:.3f} to {found.null_high:.3f}"
                yield Claim(claim, features, effect, 1, found.value, found.low, found.high, beside, command)
            if not own:
                yield Claim(claim, "", effect, 1, nan, nan, nan, "classes permuted", command)


# What a row of the removal study says beside random features of equal number and of equal energy.
_COMPARED = {
    *(f"{name}{end}" for name in ("random", "difference") for end in ("", "_energy")),
    *(f"difference{end}_{side}" for end in ("", "_energy") for side in ("low", "high")),
}


def _removal(data: ReportData) -> Iterator[Claim]:
    """A class costs more than random features, of equal number and of equal energy."""
    found: list[tuple[str, Mapping[Any, Any]]] = [
        (each.features, row)
        for each in _studies(data, "removal")
        if "removal" in each.result.tables
        for row in each.result.tables["removal"].to_dict("records")
    ]
    sides = dict(zip(("image", "text"), data.modalities, strict=True)) | {"cross": "cross"}
    for each in PUBLISHED_REMOVAL:
        if each.modality != each.without:
            continue
        modality, without = sides[each.modality], sides[each.without]
        rows = [
            (name, row)
            for name, row in found
            if (row.get("modality"), row.get("without")) == (modality, without) and row.keys() >= _COMPARED
        ]
        for end, kind in (("", "number"), ("_energy", "energy")):
            claim = f"Without {without}-dominant features {modality} accuracy falls further than without random ones"
            effect = each.accuracy - each.random if not end else nan
            command = "modalens study removal RUN --label COLUMN"
            for name, row in rows:
                beside = f"random features of equal {kind}: accuracy {row[f'random{end}']:.3f}"
                ends = (row[f"difference{end}_low"], row[f"difference{end}_high"])
                yield Claim(claim, name, effect, -1, row[f"difference{end}"], *ends, beside, command)
            if not rows:
                beside = f"random features of equal {kind}"
                yield Claim(claim, "", effect, -1, nan, nan, nan, beside, command)


def _studies(data: ReportData, name: str) -> list[StudyOf]:
    return [
        each
        for each in data.studies
        if each.encoder == data.main.name and each.result.name == name and not each.baseline_of
    ]
