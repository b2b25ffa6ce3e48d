"""Claims on another model: DeCLIP's dimensions beside CLIP's."""

from collections.abc import Iterator

from modalens.interpret.published import PUBLISHED
from modalens.pairs.modality import many
from modalens.report.naming import adjective
from modalens.report.sections.claims.claim import RAW, Claim, Evidence
from modalens.report.sections.claims.of_features import METRICS
from modalens.statistics.intervals import difference_interval


def declip(found: Evidence) -> Iterator[Claim]:
    """DeCLIP's dimensions are no more monosemantic than CLIP's, and its classes more faithful to their modality."""
    command = "modalens run recipes/beyond_cross_modal.yaml"
    beside = "CLIP's dimensions, same samples"
    own, other = found.declip, found.fidelities.get(RAW)
    for metric, written in METRICS.items():
        for side, way, modality in zip(
            ("image", "text"), ("visual", "textual"), found.modalities, strict=True
        ):
            for claim, number, sign, of in (
                (
                    f"DeCLIP's dimensions have a lower {written} than CLIP's, {many(modality)}",
                    f"{metric}_{side}",
                    -1,
                    "average",
                ),
                (
                    f"DeCLIP's {adjective(modality)} fidelity by {written} is higher than CLIP's",
                    f"{way}_{metric}",
                    1,
                    "fidelity",
                ),
            ):
                effect = getattr(PUBLISHED["DeCLIP"], number) - getattr(PUBLISHED["CLIP"], number)
                if own is None or other is None:
                    yield Claim.missing(claim, effect, sign, beside, command)
                    continue
                if of == "average":
                    values = [each.average(metric, modality) for each in (own, other)]
                    parts = [(each.mean, each.low, each.high) for each in values]
                else:
                    differences = [each.fidelity(metric, modality) for each in (own, other)]
                    parts = [(each.value, each.low, each.high) for each in differences]
                yield Claim(claim, "DeCLIP", effect, sign, *difference_interval(*parts), beside, command)
