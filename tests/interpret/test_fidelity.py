from dataclasses import replace

import numpy as np
import pytest

from modalens.dominance import Dominance, modality_dominance
from modalens.errors import ModalensError
from modalens.interpret import (
    METRICS,
    PUBLISHED,
    PUBLISHED_V1,
    Fidelity,
    Monosemanticity,
    average_of_features,
    measure_fidelity,
    monosemanticity,
)
from modalens.statistics.intervals import jackknife_interval


def classes(labels: list[str], modalities: tuple[str, str] = ("image", "text")) -> Dominance:
    """Dominance with these classes, by the twofold rule."""
    scores = {modalities[0]: 0.9, "cross": 0.5, modalities[1]: 0.1, "dead": np.nan}
    some = modality_dominance(
        *np.ones((2, 4, len(labels))), rule="twofold", resamples=0, modalities=modalities
    )
    mds = replace(some, score=np.array([scores[label] for label in labels]))
    assert mds.labels.tolist() == labels
    return mds


def scored(rng: np.random.Generator, winrate: np.ndarray) -> Monosemanticity:
    """Monosemanticity with this winrate and noise elsewhere, NaN in the same places."""
    f = len(winrate)
    some = monosemanticity(rng.random((9, f)), rng.normal(0.3, 1, size=(9, 3)), m=3)
    hidden = np.where(np.isnan(winrate), np.nan, 0.0)
    columns = {name: getattr(some, name) + hidden for name in METRICS} | {"winrate": winrate}
    chance = {name: column + hidden for name, column in some.chance.items()}
    left_out, left_out_two = (
        {name: column[:, None] + rng.normal(0, 0.01, (f, size)) for name, column in columns.items()}
        for size in (20, 10)
    )
    return replace(some, **columns, chance=chance, left_out=left_out, left_out_two=left_out_two)


@pytest.fixture
def labels() -> list[str]:
    return ["image"] * 30 + ["cross"] * 50 + ["text"] * 20 + ["dead"] * 5


def test_equals_plain_averages(labels, rng):
    labels = list(rng.permutation(labels))
    of = np.array(labels)
    image, text = (scored(rng, np.where(rng.random(105) < 0.2, np.nan, rng.random(105))) for _ in range(2))
    result = measure_fidelity(image, text, classes(labels))
    live = of != "dead"
    for metric in METRICS:
        for side, mono in (("image", image), ("text", text)):
            scores = getattr(mono, metric)
            for label, inside in [(label, of == label) for label in ("image", "cross", "text")] + [
                ("all", live)
            ]:
                average = result.average(metric, side, label)
                np.testing.assert_allclose(average.mean, np.nanmean(scores[inside]))
                np.testing.assert_allclose(average.median, np.nanmedian(scores[inside]))
                np.testing.assert_allclose(average.chance, np.nanmean(mono.chance[metric][inside]))
                assert average.features == (~np.isnan(scores[inside])).sum()
                assert average.low < average.mean < average.high
        visual = np.nanmean(getattr(image, metric)[of == "image"]) - np.nanmean(
            getattr(image, metric)[of == "text"]
        )
        textual = np.nanmean(getattr(text, metric)[of == "text"]) - np.nanmean(
            getattr(text, metric)[of == "image"]
        )
        np.testing.assert_allclose(result.fidelity(metric, "image").value, visual)
        np.testing.assert_allclose(result.fidelity(metric, "text").value, textual)
    assert len(result.averages_frame()) == len(METRICS) * 2 * 4
    assert result.averages_frame()["label"].unique().tolist() == ["image", "cross", "text", "all"]
    assert len(result.fidelity_frame()) == len(METRICS) * 2
    assert list(result.fidelity_frame().columns[:5]) == ["metric", "modality", "value", "low", "high"]
    assert measure_fidelity(image, text, classes(labels)) == result
    assert measure_fidelity(image, text, classes(labels), seed=1) != result


def test_intervals_are_those_of_the_jackknife_and_the_null_follows_from_sampling_theory(labels, rng):
    winrate = rng.normal(0.5, 0.1, size=105)
    winrate[4] = np.nan
    mono = scored(rng, winrate)
    result = measure_fidelity(mono, mono, classes(labels), permutations=4000)
    live = winrate[np.arange(105) < 100]
    parts = [mono.left_out["winrate"], mono.left_out_two["winrate"]]
    own, other = ([np.nanmean(part[rows], axis=0) for part in parts] for rows in (slice(30), slice(80, 100)))
    average = result.average("winrate", "image", "image")
    assert (average.low, average.high) == pytest.approx(jackknife_interval(np.nanmean(winrate[:30]), *own))
    fidelity = result.fidelity("winrate", "image")
    assert fidelity.value == pytest.approx(np.nanmean(winrate[:30]) - winrate[80:100].mean())
    difference = [one - two for one, two in zip(own, other, strict=True)]
    assert (fidelity.low, fidelity.high) == pytest.approx(jackknife_interval(fidelity.value, *difference))
    error = np.nanstd(live, ddof=1) * (1 / 30 + 1 / 20) ** 0.5
    assert fidelity.null_mean == pytest.approx(0, abs=error / 20)
    assert (fidelity.null_high - fidelity.null_low) / 2 == pytest.approx(1.96 * error, rel=0.06)
    # Image and text saw the same scores, so one fidelity is the other turned round.
    assert result.fidelity("winrate", "text").value == pytest.approx(-fidelity.value)
    found = average_of_features(mono, "winrate", np.arange(105) < 30)
    assert tuple(found) == (29, average.mean, average.low, average.high)


def fidelities(rng: np.random.Generator, labels: list[str], lift: float) -> Fidelity:
    of = np.array(labels)
    image = scored(rng, rng.normal(0.5, 0.1, size=len(of)) + lift * (of == "image"))
    text = scored(rng, rng.normal(0.5, 0.1, size=len(of)) + lift * (of == "text"))
    return measure_fidelity(image, text, classes(labels), permutations=200)


def test_planted_fidelity_is_found_and_random_classes_are_not(labels, rng):
    for side in ("image", "text"):
        found = fidelities(rng, labels, 0.2).fidelity("winrate", side)
        assert found.low > 0
        assert found.value > found.null_high
        assert found.p < 0.01
    ps = [
        fidelities(rng, labels, 0.0).fidelity("winrate", side).p
        for _ in range(40)
        for side in ("image", "text")
    ]
    assert 0 < np.mean(np.array(ps) < 0.2) < 0.4
    assert np.mean(np.array(ps) < 0.01) < 0.08


def test_classes_without_features_have_no_number(rng):
    labels = ["cross"] * 10 + ["text"] * 10 + ["dead"] * 2
    text = scored(rng, np.where(np.arange(22) < 10, np.nan, rng.random(22)))
    result = measure_fidelity(scored(rng, rng.random(22)), text, classes(labels), permutations=50)
    for metric in METRICS:
        empty = result.average(metric, "image", "image")
        assert empty.features == 0
        assert np.isnan([empty.mean, empty.low, empty.high, empty.median, empty.chance]).all()
        fidelity = result.fidelity(metric, "image")
        assert np.isnan(
            [fidelity.value, fidelity.low, fidelity.null_mean, fidelity.null_low, fidelity.p]
        ).all()
    assert result.average("winrate", "text", "cross").features == 0
    assert result.average("winrate", "text", "text").features == 10
    everything_dead = measure_fidelity(text, text, classes(["dead"] * 22), permutations=5)
    assert np.isnan(everything_dead.average("mono", "image").mean)


def test_modalities_go_by_their_names(rng):
    labels = ["audio"] * 8 + ["cross"] * 8 + ["caption"] * 8
    scores = scored(rng, rng.random(24))
    result = measure_fidelity(scores, scores, classes(labels, ("audio", "caption")), permutations=20)
    assert result.average("mono", "caption", "audio").features == 8
    with pytest.raises(ModalensError, match="audio"):
        result.fidelity("mono", "image")
    with pytest.raises(ModalensError, match="cross"):
        result.average("mono", "audio", "image")


def test_bad_input(rng):
    three, four = scored(rng, rng.random(3)), scored(rng, rng.random(4))
    with pytest.raises(ModalensError, match="3 image scores, 4 text scores, 3 classes"):
        measure_fidelity(three, four, classes(["cross"] * 3))
    with pytest.raises(ModalensError, match="permutations"):
        measure_fidelity(three, three, classes(["cross"] * 3), permutations=0)


def test_real_features_judged_by_themselves(clip_features):
    image, text = clip_features
    mds = modality_dominance(image, text, rule="mu_sigma", resamples=0)
    result = measure_fidelity(monosemanticity(image, image), monosemanticity(text, text), mds)
    assert result.average("winrate", "image").features == 512
    assert [result.average("mono", "image", label).features for label in ("image", "cross", "text")] == [
        51,
        426,
        35,
    ]
    # Single features of CLIP are hardly monosemantic: by magnitude both of their ends are among the strongest.
    for side in ("image", "text"):
        average = result.average("winrate", side)
        assert average.low < average.mean < average.chance + 0.02


def test_published_numbers_are_those_of_the_tables():
    assert list(PUBLISHED) == list(PUBLISHED_V1) == ["CLIP", "DeCLIP", "CLIP+NCL", "CLIP+SAE"]
    sae = PUBLISHED["CLIP+SAE"]
    assert (sae.embsim_image, sae.embsim_text, sae.winrate_image, sae.winrate_text) == (
        0.17,
        0.74,
        0.60,
        0.61,
    )
    assert (sae.visual_embsim, sae.visual_winrate) == (0.005, 0.030)
    assert (sae.textual_embsim, sae.textual_winrate) == (0.146, 0.016)
    ncl = PUBLISHED_V1["CLIP+NCL"]
    assert (ncl.embsim_image, ncl.embsim_text, ncl.winrate_image, ncl.winrate_text) == (
        0.161,
        0.592,
        0.727,
        0.608,
    )
