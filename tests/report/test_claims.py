"""The page of claims: each verdict follows from its row."""

import dataclasses
from math import isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modalens.interpret.fidelity import ClassAverage, Fidelity, ModalityFidelity
from modalens.report import ReportData, StudyOf
from modalens.report.sections import claims
from modalens.report.sections.claims import Claim, Evidence, claims_of
from modalens.report.sections.claims.verdicts import detectable, verdict
from modalens.studies.result import StudyResult
from tests.interpreted import quick_page


@pytest.mark.parametrize(
    ("sign", "low", "high", "expected"),
    [
        (1, 0.1, 0.2, "holds"),
        (-1, -0.2, -0.1, "holds"),
        (1, -0.2, -0.1, "does not hold"),
        (-1, 0.1, 0.2, "does not hold"),
        (1, -0.1, 0.2, "not decided"),
        (-1, 0.0, 0.2, "not decided"),
        (1, nan, nan, "not measured"),
        (0, -0.1, 0.2, "not decided"),
        (0, 0.1, 0.2, "does not hold"),
        (0, -0.2, -0.1, "does not hold"),
        (0, nan, nan, "not measured"),
    ],
)
def test_the_rule(sign: int, low: float, high: float, expected: str) -> None:
    assert verdict(sign, (low + high) / 2, (low, high)) == expected


@pytest.mark.parametrize(
    ("sign", "control", "expected"),
    [
        (1, (-0.1, 0.1), "holds"),
        (1, (-0.1, 0.2), "no more than its control"),
        (1, (-0.3, 0.1), "holds"),
        (-1, (-0.3, 0.1), "no more than its control"),
        (-1, (-0.1, 0.3), "holds"),
    ],
)
def test_what_a_control_does_as_well_does_not_hold(
    sign: int, control: tuple[float, float], expected: str
) -> None:
    assert verdict(sign, sign * 0.15, (sign * 0.1, sign * 0.2), control) == expected


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ((-0.1, 0.1), "does not hold"),
        ((-0.2, 0.1), "no more than its control"),
        ((-0.1, 0.3), "does not hold"),
    ],
)
def test_an_effect_of_the_other_sign_counts_only_beyond_its_control(
    control: tuple[float, float], expected: str
) -> None:
    assert verdict(1, -0.15, (-0.2, -0.1), control) == expected
    assert verdict(-1, 0.15, (0.1, 0.2), (-control[1], -control[0])) == expected


def test_the_effect_that_would_have_been_seen() -> None:
    """2.8 standard errors, of an interval that is 3.92 wide."""
    assert detectable(-1.96, 1.96) == pytest.approx(2.8, abs=0.01)
    assert isnan(detectable(nan, nan))


def removal(low: float, high: float) -> StudyResult:
    row: dict[str, Any] = {"modality": "image", "without": "image", "accuracy": 0.7}
    for end in ("", "_energy"):
        row |= {f"random{end}": 0.8, f"difference{end}": (low + high) / 2}
        row |= {f"difference{end}_low": low, f"difference{end}_high": high}
    return StudyResult("removal", "Removal", {"removal": pd.DataFrame([row])}, [], {})


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.3, -0.1, "holds"), (0.1, 0.3, "does not hold"), (-0.1, 0.3, "not decided")],
)
def test_rows_take_what_the_run_has(
    data: ReportData, tmp_path: Path, low: float, high: float, expected: str
) -> None:
    with_study = dataclasses.replace(data, studies=[StudyOf("SAE", data.main.name, removal(low, high))])
    found = [
        each for each in claims_of(Evidence.of(with_study)) if "image accuracy falls further" in each.claim
    ]
    assert [each.verdict for each in found] == [expected] * 2
    assert found[0].published == pytest.approx(-0.007)
    (section,) = claims.sections(with_study)
    rows = section.tables["claims"]
    for row in rows.to_dict("records"):
        ends, control = (row["low"], row["high"]), (row["control_low"], row["control_high"])
        assert row["verdict"] == verdict(row["sign"], row["value"], ends, control)
    markup = quick_page(with_study, tmp_path)
    assert f">{expected}" in markup
    # The run has no such features: a study of what there is would not measure it.
    made = "modalens train ncl RUN &amp;&amp; modalens interpret RUN"
    assert f"not measured: run <code>{made} &amp;&amp; modalens study top-m RUN</code>" in markup
    assert f"not measured: run <code>{made}</code>" in markup


def evidence(**results: pd.DataFrame) -> Evidence:
    """One study with its tables, of features called raw."""
    (study,) = {name.split("__")[0] for name in results}
    tables = {name.split("__")[1]: table for name, table in results.items()}
    return Evidence(
        ("image", "text"), {}, [("raw", StudyResult(study.replace("_", "-"), study, tables, [], {}))]
    )


def difference(value: float, end: str = "") -> dict[str, float]:
    return {
        f"difference{end}": value,
        f"difference{end}_low": value - 0.05,
        f"difference{end}_high": value + 0.05,
    }


def verdicts(found: Evidence, words: str) -> list[tuple[str, float, str]]:
    return [(each.features, each.published, each.verdict) for each in claims_of(found) if words in each.claim]


@pytest.mark.parametrize(
    ("value", "expected"), [(-0.2, "does not hold"), (0.2, "does not hold"), (0.01, "not decided")]
)
def test_that_cross_costs_nothing_can_only_be_refuted(value: float, expected: str) -> None:
    row: dict[str, Any] = {"modality": "image", "without": "cross", "accuracy": 0.8, "random": 0.8}
    row |= {"random_energy": 0.8}
    rows = [row | difference(value) | difference(value, "_energy"), {**row, "modality": "text"}]
    found = verdicts(evidence(removal__removal=pd.DataFrame(rows)), "Without cross-modal features image")
    assert [said for _, _, said in found] == [expected] * 2
    assert found[0][1] == pytest.approx(-0.004)
    assert isnan(found[1][1])


def meaning(embsim: float, fidelity: float) -> Fidelity:
    """Averages and fidelities within .05, of classes that permuted reach .01."""
    sides, metrics = ("image", "text"), ("embsim", "winrate")
    return Fidelity(
        tuple(
            ClassAverage(metric, side, "all", 9, embsim, embsim - 0.05, embsim + 0.05, embsim, 0.0)
            for metric in metrics
            for side in sides
        ),
        tuple(
            ModalityFidelity(metric, side, fidelity, fidelity - 0.05, fidelity + 0.05, 0.0, -0.01, 0.01, 0.5)
            for metric in metrics
            for side in sides
        ),
        permutations=9,
        seed=0,
    )


@pytest.mark.parametrize(
    ("fidelity", "own", "learned"), [(0.1, "does not hold", "holds"), (-0.1, "holds", "does not hold")]
)
def test_clip_s_own_classes_are_claimed_to_mean_less_in_their_modality(
    fidelity: float, own: str, learned: str
) -> None:
    found = Evidence(("image", "text"), {"Raw": meaning(0.3, fidelity), "SAE": meaning(0.3, fidelity)}, [])
    for metric in ("EmbSim", "WinRate"):
        (said,) = verdicts(
            found,
            f"CLIP's dimensions of a modality are less monosemantic in it: textual fidelity by {metric}",
        )
        assert (said[0], said[2]) == ("Raw", own)
        (said,) = verdicts(
            found,
            f"CLIP+SAE features of a modality are more monosemantic in it: textual fidelity by {metric}",
        )
        assert (said[0], said[2]) == ("SAE", learned)


def test_declip_stands_beside_clip_where_both_were_measured() -> None:
    known = {"Raw": meaning(0.5, -0.1)}
    found = Evidence(("image", "text"), known, [], meaning(0.2, 0.2))
    lower = verdicts(found, "DeCLIP's dimensions have a lower EmbSim than CLIP's, texts")
    assert lower == [("DeCLIP", pytest.approx(-0.52), "holds")]
    assert verdicts(found, "DeCLIP's textual fidelity by WinRate")[0][2] == "holds"
    near = Evidence(("image", "text"), known, [], meaning(0.45, -0.1))
    assert verdicts(near, "DeCLIP's dimensions have a lower EmbSim")[0][2] == "not decided"
    missing = Evidence(("image", "text"), known, [])
    assert {said for _, _, said in verdicts(missing, "DeCLIP's")} == {"not measured"}


def test_gender_without_a_class_is_compared_at_its_largest_size() -> None:
    rows = [
        {"input": "image", "without": "image", "kind": "class", "removed": removed, "random_change": -0.01}
        | {"random_change_energy": -0.1}
        | difference(value)
        | difference(0.0, "_energy")
        for removed, value in ((3, 0.2), (9, -0.2))
    ]
    found = verdicts(evidence(gender__accuracy=pd.DataFrame(rows)), "the gender of images")
    assert [(name, said) for name, _, said in found] == [("raw", "holds"), ("raw", "not decided")]
    assert found[0][1] == pytest.approx(-0.0359)
    assert isnan(found[1][1])


@pytest.mark.parametrize(
    ("first", "value", "swapped", "expected"),
    [
        ("female", -0.3, 0.1, "holds"),
        ("male", 0.3, 0.1, "holds"),
        ("female", 0.3, 0.1, "does not hold"),
        ("female", -0.3, 0.4, "no more than its control"),
        ("female", -0.02, 0.1, "not decided"),
    ],
)
def test_the_difference_between_genders_is_a_claim_of_its_own(
    first: str, value: float, swapped: float, expected: str
) -> None:
    row = {"input": "both", "without": "own", "edited": "sample", "first": first} | difference(value)
    row |= {"second": "male" if first == "female" else "female"}
    row |= {"swapped_low": -swapped, "swapped_high": swapped}
    rows = [row, row | {"edited": "alike"}, row | {"input": "image"}]
    found = verdicts(evidence(gender__between_values=pd.DataFrame(rows)), "Female is told")
    assert [said for _, _, said in found] == [expected] * 2
    assert found[0][1] == pytest.approx(-0.3341)
    assert isnan(found[1][1])


def test_adversarial_claims_take_what_the_study_compared() -> None:
    rate = {"rate": 0.8, "rate_low": 0.7, "rate_high": 0.9}
    none = {"rate": 0.1, "rate_low": 0.05, "rate_high": 0.2}
    rows = [
        {"of": "", "set": "undefended", "kind": "attack", **rate},
        {"of": "", "set": "benign image", "kind": "reference", **none},
        {"of": "raw", "set": "text", "kind": "class", "random": 0.5, **rate, **difference(-0.3)},
        {"of": "SAE", "set": "text", "kind": "class", "random": 0.5, **rate, **difference(0.3)},
        {"of": "raw", "set": "random", "kind": "random", **none},
    ]
    found = evidence(adversarial__success=pd.DataFrame(rows))
    assert verdicts(found, "more often than benign") == [("raw", pytest.approx(0.6326), "holds")]
    text = verdicts(
        found, "Aligned on text-dominant features attacked images get their way less often than on random"
    )
    assert [(name, said) for name, _, said in text] == [
        ("raw", "holds"),
        ("SAE", "does not hold"),
        ("", "not measured"),
    ]
    assert text[0][1] == pytest.approx(0.2489 - 0.5428)
    assert isnan(text[1][1])
    assert all(said == "not measured" for _, _, said in verdicts(found, "Aligned on cross"))
    assert verdicts(found, "Aligned on random features") == [("raw", pytest.approx(-0.1898), "holds")]
    (any_text,) = (
        each
        for each in claims_of(found)
        if "text-dominant features attacked images get their way less often than und" in each.claim
        and each.features == "raw"
    )
    assert any_text.verdict == "not decided"


def test_no_effect_is_named_that_there_cannot_be() -> None:
    row = {"set": "text", "kind": "class", "of": "raw", "random": 0.5, "rate": 0.5}
    row |= {"difference": 0.0, "difference_low": -1.0, "difference_high": 1.0}
    found = claims_of(evidence(adversarial__success=pd.DataFrame([row])))
    (said,) = (each.verdict_in_words for each in found if each.verdict == "not decided")
    assert said == "not decided: no effect that there can be would have been seen"
    known = Claim("a", "raw", nan, 1, 0.0, -0.1, 0.1, "b", "c", most=1)
    assert known.verdict_in_words == "not decided: 0.143 would have been seen"


def test_generated_pictures_have_claims_without_a_published_number() -> None:
    rows = [
        {"space": "projected", "measure": "content_less_surface", "set": name, "kind": "class"}
        | {"matched": "number", "random": 0.0}
        | difference(value)
        for name, value in (("text", 0.2), ("image", 0.2))
    ]
    found = evidence(text_to_image__slopes=pd.DataFrame(rows))
    assert verdicts(found, "Text-dominant features carry")[0][2] == "holds"
    assert verdicts(found, "Image-dominant features carry")[0][2] == "does not hold"
    assert all(isnan(published) for _, published, _ in verdicts(found, "features carry"))


@pytest.mark.parametrize(("first", "of_images"), [("image", ("adversarial", "text-to-image")), ("audio", ())])
def test_a_claim_that_was_not_measured_says_the_command(first: str, of_images: tuple[str, ...]) -> None:
    found = claims_of(Evidence((first, "text"), {}, []))
    assert all(each.verdict == "not measured" for each in found)
    commands = {each.command.rpartition("&& ")[2].split(" RUN")[0] for each in found}
    names = ("top-m", "removal", "gender", *of_images)
    models = ("modalens run recipes/beyond_cross_modal.yaml",) if of_images else ()
    assert commands == {"modalens interpret", *models, *(f"modalens study {name}" for name in names)}
    table = claims.claims_markdown(found)
    assert "not measured: run `modalens study gender RUN --attribute gender`" in table
    assert f"Without {first}-dominant features" in table


def test_the_rule_names_every_verdict_and_the_units_stand_beside(data: ReportData, tmp_path: Path) -> None:
    for said in ("holds", "no more than its control", "does not hold", "not decided"):
        assert said in claims.RULE
    with_study = dataclasses.replace(data, studies=[StudyOf("SAE", data.main.name, removal(-0.3, -0.1))])
    assert "measured here in accuracy beyond chance" in quick_page(with_study, tmp_path)
    (row,) = [
        each
        for each in claims_of(Evidence.of(with_study))
        if "image accuracy falls further" in each.claim and "number" in each.control
    ]
    assert row.control == "random features of equal number: accuracy 0.800, without the class 0.700"
    assert claims.UNITS in claims.claims_markdown([row])
