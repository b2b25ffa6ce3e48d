"""The sentences follow from the numbers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modalens.report import EncoderResult, ReportData
from modalens.report.headline import gap_share, headline
from modalens.report.keys import key_numbers
from modalens.report.naming import (
    Naming,
    are_halves,
    count,
    halves,
    interval,
    listing,
    number,
    percent,
    small,
    tied,
    typeset,
)
from modalens.report.sections.classes.sentences import count_statements
from modalens.report.sections.estimators.sentences import estimator_statements
from modalens.report.sections.gap.sentences import gap_statements, retrieval_statements
from modalens.report.sections.scores.sentences import spread_statements

NAMING = Naming("image", "text")


def with_gap(
    encoder: EncoderResult,
    l2m: float,
    half: float = 0.005,
    null: tuple[float, float, float] = (0.01, 0.005, 0.02),
) -> EncoderResult:
    gap = replace(
        encoder.gap,
        l2m_unbiased=l2m,
        intervals={**encoder.gap.intervals, "l2m_unbiased": (l2m - half, l2m + half)},
        null={**encoder.gap.null, "l2m_unbiased": null},
    )
    return replace(encoder, gap=gap)


@pytest.fixture
def told(data: ReportData):
    """Tell the headline for a main gap of 0.86 and baselines of given gaps."""

    def tell(*baselines: tuple[str, float, str], main: float = 0.86, half: float = 0.005) -> str:
        return " ".join(
            headline(
                replace(
                    data,
                    main=with_gap(data.main, main, half),
                    baselines=[
                        with_gap(replace(data.baselines[0], name=name, said="", isolates=isolates), gap, half)
                        for name, gap, isolates in baselines
                    ],
                )
            )
        )

    return tell


def test_gap_that_the_untrained_twin_has_too(told) -> None:
    sentence = told(("Untrained", 0.80, "training"))
    assert "larger than swapped labels make it (97.5 % of draws stay under 0.020)" in sentence
    assert "Untrained has 93\u00a0% of it (0.800), so its size cannot be credited to training." in sentence


def test_the_headline_is_of_the_unbiased_gap(told, data: ReportData) -> None:
    noisy = replace(data.main, gap=replace(data.main.gap, l2m=1.9, l2m_unbiased=0.001))
    assert "1.900" not in " ".join(headline(replace(data, main=noisy)))
    assert key_numbers(replace(data, main=noisy))[0].value == "0.001"


def test_noise_in_the_published_gap_is_told_where_it_matters(data: ReportData) -> None:
    def told(published: float) -> str:
        gap = replace(with_gap(data.main, 0.3, half=0.05).gap, l2m=published)
        return " ".join(gap_statements(replace(data, main=replace(data.main, gap=gap), baselines=[])))

    assert "L2M as published is larger: 0.320 against 0.300 (0.250 to 0.350) for Main." in told(0.32)
    assert "as published" not in told(0.305)  # a twentieth of the interval


def test_ties_are_told(data: ReportData) -> None:
    assert data.main.retrieval is not None
    tied = replace(data.main, retrieval=replace(data.main.retrieval, ties=3))
    said = retrieval_statements(replace(data, main=tied))
    assert "In Main, 3 of 160 queries have a wrong candidate as near as the right one" in " ".join(said)
    assert "as near" not in " ".join(retrieval_statements(data))


def test_counts_name_the_groups_they_rest_on(data: ReportData) -> None:
    def told(**changes: float) -> str:
        grouped = replace(data.scores, **changes)
        main = replace(data.main, dominance={"mean_ratio": grouped})
        return " ".join(count_statements(replace(data, main=main), NAMING))

    assert "these rest on 80 pairs." in told()
    assert "80 pairs in 20 groups (as good as 8 of equal size)." in told(groups=20, effective_groups=7.9)


def test_gap_that_is_the_same_within_error(told) -> None:
    assert "has the same within sampling error" in told(("Untrained", 0.85, "training"), half=0.05)
    assert "has the same" not in told(("Untrained", 0.85, "training"), half=0.005)


def test_gap_that_is_larger_in_a_baseline(told) -> None:
    sentence = told(("Shuffled", 1.05, "true pairs"), ("Untrained", 0.9, "training"))
    assert "Shuffled (1.050) and Untrained (0.900) have a larger one" in sentence
    assert "cannot be credited to true pairs or to training" in sentence


def test_gap_that_closes_in_a_baseline(told) -> None:
    sentence = told(("Untrained", 0.80, "training"), ("Learnt", 0.05, "the fixed logit scale"))
    assert "In Learnt (0.050) it all but closes, so it hangs on the fixed logit scale." in sentence


def test_gap_clearly_larger_than_the_baseline_is_not_talked_down(told) -> None:
    sentence = told(("Untrained", 0.40, "training"))
    assert "cannot be credited" not in sentence
    assert "closes" not in sentence
    assert "Untrained has 47\u00a0% of it (0.400), so at most the rest can be owed to training." in sentence
    closed = told(("Untrained", 0.05, "training"))
    assert "cannot be credited" not in closed
    assert "hangs on training" in closed


def test_no_gap_beyond_chance(told) -> None:
    sentence = told(("Untrained", 0.80, "training"), main=0.015)
    assert "cannot be told from what swapping labels at random makes of it" in sentence
    assert "hardly larger than 0.020" in sentence
    assert "training" not in sentence


def test_without_baselines_nothing_is_said_of_training(told) -> None:
    assert "nothing here says that training made it" in told()


@given(main=st.floats(0.05, 2), other=st.floats(0, 2), half=st.floats(0, 0.3))
def test_verdict_fits_the_numbers(main: float, other: float, half: float) -> None:
    template = _gap_template()
    a = with_gap(template, main, half).gap
    share = gap_share(a, with_gap(template, other, half))
    if share.verdict == "larger":
        assert other > main
    elif share.verdict == "same":
        assert abs(other - main) <= np.hypot(half, half) + 1e-12
    else:
        assert other < main
        assert share.share <= 1 + 1e-9
        bounds = {"most": (0.8, 1), "part": (0.2, 0.8), "hardly any": (0, 0.2)}[share.verdict]
        assert bounds[0] - 1e-9 <= share.share <= bounds[1] + 1e-9


_TEMPLATE: list[EncoderResult] = []


def _gap_template() -> EncoderResult:
    if not _TEMPLATE:
        from modalens.dominance import modality_gap

        rng = np.random.default_rng(0)
        gap = modality_gap(rng.normal(size=(20, 4)), rng.normal(size=(20, 4)), resamples=2)
        _TEMPLATE.append(EncoderResult("x", "x", {}, gap))
    return _TEMPLATE[0]


def test_spread_beside_swapped_labels(data: ReportData) -> None:
    (first, *rest) = spread_statements(data)
    assert "beyond what chance gives" in first
    assert len(rest) >= 2
    scores = data.scores
    narrow = replace(scores, score=scores.null.scores)
    quiet = replace(data, main=replace(data.main, dominance={"mean_ratio": narrow}))
    assert (
        "no wider than chance gives"
        in spread_statements(
            replace(
                quiet,
                main=replace(
                    quiet.main,
                    dominance={
                        "mean_ratio": replace(narrow, null=replace(scores.null, stds=scores.null.stds * 2))
                    },
                ),
            )
        )[0]
    )


def test_class_counts_like_those_of_chance_say_nothing(data: ReportData) -> None:
    scores = data.scores
    nothing = "say nothing by themselves"
    alike = replace(
        scores,
        null=replace(
            scores.null,
            class_counts={
                rule: {k: float(v) for k, v in scores.counts(rule).items()}
                for rule in ("mu_sigma", "twofold")
            },
        ),
    )
    same = replace(data, main=replace(data.main, dominance={"mean_ratio": alike}))
    assert nothing in count_statements(same, NAMING)[0]
    shifted = {"text": 0.0, "cross": float(len(scores.score)), "image": 0.0, "dead": 0.0}
    other = replace(alike, null=replace(alike.null, class_counts={"mu_sigma": shifted, "twofold": shifted}))
    different = replace(data, main=replace(data.main, dominance={"mean_ratio": other}))
    assert nothing not in count_statements(different, NAMING)[0]


def test_two_peaks_are_pointed_out(data: ReportData) -> None:
    peaks = np.repeat([0.02, 0.97], 24)
    peaked = replace(data.scores, score=peaks)
    two = replace(data, main=replace(data.main, dominance={"mean_ratio": peaked}))
    assert any(
        "leaves 24 features over 0.9 and 24 under 0.1 in CrossD" in s for s in count_statements(two, NAMING)
    )
    assert any("100\u00a0% of the features lie under 0.05 or over 0.95" in s for s in spread_statements(two))
    assert not any("over 0.9" in sentence for sentence in count_statements(data, NAMING))


def test_retrieval_at_chance_is_called_so(data: ReportData) -> None:
    found = data.main.retrieval
    guess = {k: (found.chance[k], 0.0, 2 * found.chance[k]) for k in found.chance}
    guessing = replace(data.baselines[0], retrieval=replace(found, image_to_text=guess, text_to_image=guess))
    sentences = retrieval_statements(replace(data, baselines=[guessing]))
    most = 2 * found.chance[1]
    chance = percent(found.chance[1], 1)
    told = f"{chance} and {chance}, at most {percent(most, 1)}; chance is {chance}"
    assert sentences[-1] == f"The untrained twin ({told}) is not told from chance."
    assert sentences[0].startswith("Main finds the right text first in")


def test_estimators_that_are_not_defined_say_why(data: ReportData) -> None:
    sentences = estimator_statements(data)
    assert any(s.startswith("signed_ratio is not defined here: ") for s in sentences)
    assert any(
        s.startswith("energy_ratio orders the features with a rank correlation of 0.9") for s in sentences
    )


def test_key_numbers_stand_beside_every_baseline(data: ReportData) -> None:
    keys = key_numbers(data)
    assert [key.name for key in keys] == ["Gap L2M", "Spread of R, σ", "One-sided features", "Retrieval R@1"]
    for key in keys[:3]:
        assert [name for name, _ in key.beside] == ["labels swapped", "Untrained twin", "Closed twin"]
    assert keys[0].value == number(data.main.gap.l2m_unbiased)
    counts = data.scores.counts("twofold")
    assert keys[2].value == f"{counts['image'] + counts['text']} of 48"


def test_numbers_as_people_write_them() -> None:
    assert number(-0.12345) == "−0.123"
    assert number(float("nan")) == "—"
    assert interval(0.1, 0.25, 2) == "0.10 to 0.25"
    assert interval(float("nan"), 1) == "—"
    assert percent(0.1234, 1) == "12.3\u00a0%"
    assert (count(12345), count(3.26), count(3.0), count(81.6)) == ("12,345", "3.3", "3", "82")
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert (NAMING.short("first"), NAMING.short("second"), NAMING.short("cross")) == (
        "ImgD",
        "TextD",
        "CrossD",
    )


def test_measures_of_the_gap_stand_with_interval_and_swapped_labels(data: ReportData) -> None:
    def told(rmg: float, low: float, high: float) -> list[str]:
        gap = replace(
            data.main.gap,
            separability=0.996,
            rmg=rmg,
            intervals={**data.main.gap.intervals, "separability": (0.88, 1.0), "rmg": (low, high)},
            null={**data.main.gap.null, "separability": (0.5, 0.4, 0.6), "rmg": (0.51, 0.5, 0.52)},
        )
        return gap_statements(replace(data, main=replace(data.main, gap=gap)))

    *_, classifier, distance = told(0.6, 0.55, 0.65)
    assert classifier.endswith(
        "for 99.6\u00a0% of held-out embeddings (88.0 to 100.0; labels swapped: 50.0)."
    )
    assert distance == (
        "RMG is 0.600 (0.550 to 0.650; labels swapped: 0.510): the halves of a pair lie farther apart than two samples "
        "of one modality do on average."
    )
    assert "lie closer together" in told(0.4, 0.3, 0.45)[-1]
    assert "it is not told whether the halves of a pair lie closer together" in told(0.45, 0.3, 0.55)[-1]


def test_the_headline_gives_the_interval_of_the_gap(told) -> None:
    assert told().startswith("The gap (L2M 0.860, 0.855 to 0.865) is larger than swapped labels make it")


def test_one_query_is_not_several() -> None:
    tail = "a wrong candidate as near as the right one;"
    assert tied(1, 1000) == f"1 of 1,000 queries has {tail} it counts as missed."
    assert tied(1) == f"1 query has {tail} it counts as missed."
    assert tied(2) == f"2 queries have {tail} these count as missed."


def test_one_half_is_not_several() -> None:
    assert (halves(1), are_halves(1)) == ("1 half of a split concept", "1 is half of a split concept")
    assert (halves(12), are_halves(0)) == ("12 halves of split concepts", "0 are halves of split concepts")


def test_chance_keeps_two_digits_however_small() -> None:
    assert [small(each, 1) for each in (50.0, 2.5, 0.5, 0.25, 0.05, 0.0017)] == [
        "50.0", "2.5", "0.5", "0.25", "0.05", "0.0017"
    ]  # fmt: skip
    assert (small(0.0, 1), small(None), small(-0.05, 1)) == ("0.0", "—", "−0.05")


def test_no_zero_has_a_sign() -> None:
    assert (number(-0.0004), number(-0.0005001), number(-1e-9, 1)) == ("0.000", "−0.001", "0.0")
    assert typeset("by -0.0 (-0.05 to +0.0) or +0.01, -0.000.") == "by 0.0 (−0.05 to 0.0) or +0.01, 0.000."


def test_sentences_are_typeset() -> None:
    assert typeset("-0.5 (-1 to +2), 25.8% of k8-seed0, 2026-11-26, n-512") == (
        "−0.5 (−1 to +2), 25.8\u00a0% of k8-seed0, 2026-11-26, n-512"
    )
