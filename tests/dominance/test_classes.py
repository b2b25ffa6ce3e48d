import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.dominance.classes import CROSS
from modalens.dominance.rules import class_codes
from modalens.errors import ModalensError
from tests.dominance.naive import naive_classes


def with_scores(scores: list[float], pairs: int = 1, **options):
    """Features that have exactly these scores; None is dead."""
    image = np.array([[0.0 if score is None else score for score in scores]] * pairs)
    text = np.array([[0.0 if score is None else 1 - score for score in scores]] * pairs)
    return modality_dominance(image, text, **options)


@pytest.mark.parametrize("rule", ["mu_sigma", "twofold"])
def test_classes_equal_the_plain_rule(rule, rng):
    scores = rng.beta(0.5, 0.7, 200)
    scores[::17] = np.nan
    names = np.array(["text", "cross", "image", "dead"])
    assert names[class_codes(scores, rule)].tolist() == naive_classes(scores, rule)


@pytest.mark.parametrize("rule", ["mu_sigma", "twofold"])
@pytest.mark.parametrize("score", [0.1, 0.3, 0.5, 0.7])
def test_equal_features_are_all_in_one_class(rule, score):
    # Rounding makes the mean of equal numbers differ from them, and their spread differ from 0.
    labels = with_scores([score] * 1_000, pairs=7, rule=rule, resamples=0).labels
    expected = "cross" if rule == "mu_sigma" or 1 / 3 < score < 2 / 3 else "text" if score < 0.5 else "image"
    assert set(labels) == {expected}


def test_a_score_on_the_bound_is_cross():
    # Two equal heaps lie one standard deviation from their mean, on the bounds, wherever they are.
    for low, high in np.random.default_rng(1).random((100, 2)):
        assert set(class_codes(np.array([low, high] * 50), "mu_sigma")) == {CROSS}
    rng = np.random.default_rng(0)
    text = rng.uniform(0.1, 10, (999, 3))
    image = text * [2.0, 0.5, 2.01]
    result = modality_dominance(image, text, rule="twofold", resamples=0)
    assert result.labels.tolist() == ["cross", "cross", "image"]


def test_two_peaks_leave_mu_sigma_without_an_image_class():
    peaks = with_scores([0.0] * 40 + [0.95] * 60, rule="mu_sigma", resamples=0)
    assert peaks.counts() == {"text": 40, "cross": 60, "image": 0, "dead": 0}
    assert peaks.tails() == {"text": 0, "image": 60}
    mirrored = with_scores([1.0] * 40 + [0.05] * 60 + [0.15], rule="mu_sigma", resamples=0)
    assert mirrored.tails() == {"text": 60, "image": 0}
    assert peaks.tails("twofold") == {"text": 0, "image": 0}
    assert peaks.counts("twofold") == {"text": 40, "cross": 0, "image": 60, "dead": 0}


def test_the_other_rule_needs_no_second_pass(rng):
    image, text = rng.exponential(size=(2, 50, 20)) ** 3
    first = modality_dominance(image, text, rule="mu_sigma")
    second = modality_dominance(image, text, rule="twofold")
    other = first.with_rule("twofold")
    assert other.rule == "twofold"
    assert other.labels.tolist() == second.labels.tolist() != first.labels.tolist()
    np.testing.assert_array_equal(other.probability, second.probability)
    np.testing.assert_array_equal(first.class_probability("twofold"), second.class_probability())
    assert first.counts("twofold") == second.counts()
    assert first.count_intervals("twofold") == second.count_intervals()
    with pytest.raises(ModalensError, match="no class rule"):
        first.with_rule("thirds")


def test_dead_features_are_a_class_of_their_own():
    result = with_scores([0.1, None, 0.5, 0.9, None], pairs=20, rule="twofold")
    assert result.labels.tolist() == ["text", "dead", "cross", "image", "dead"]
    assert result.counts() == {"text": 1, "cross": 1, "image": 1, "dead": 2}
    assert result.count_intervals()["dead"] == (2, 2)
    assert np.isnan(result.probability).tolist() == [False, True, False, False, True]
    assert np.isnan(result.class_probability()[1]).all()
    assert result.indices("dead").tolist() == [1, 4]
    assert result.mean == pytest.approx(0.5)


def test_a_model_with_only_dead_features_has_no_mean():
    result = modality_dominance(np.zeros((4, 3)), np.zeros((4, 3)))
    assert np.isnan(result.mean)
    assert np.isnan(result.std)
    assert result.counts() == {"text": 0, "cross": 0, "image": 0, "dead": 3}


def test_classes_carry_the_names_of_the_modalities():
    result = with_scores([0.1, 0.5, 0.9], pairs=20, rule="twofold", modalities=["audio", "caption"])
    assert result.labels.tolist() == ["caption", "cross", "audio"]
    assert result.indices("audio").tolist() == [2]
    assert list(result.tails()) == ["caption", "audio"]
    assert {"p_caption", "p_cross", "p_audio"} <= set(result.to_frame().columns)
    assert set(result.null.class_counts["twofold"]) == {"caption", "cross", "audio", "dead"}
    with pytest.raises(ModalensError, match="no class 'image'; choose one of caption, cross, audio, dead"):
        result.indices("image")


def test_the_frame_has_one_row_a_feature():
    result = with_scores([0.1, None, 0.9], pairs=20, rule="twofold")
    frame = result.to_frame()
    assert frame.columns.tolist() == [
        "feature", "score", "low", "high", "pairs", "label", "probability", "p_text", "p_cross", "p_image",
    ]  # fmt: skip
    assert frame["feature"].tolist() == [0, 1, 2]
    assert frame["label"].tolist() == ["text", "dead", "image"]
    assert frame["pairs"].tolist() == [20, 0, 20]
    assert frame["p_image"].tolist()[::2] == [0.0, 1.0]
