import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.statistics.bootstrap import draw, group_keys, percentile_interval
from tests.dominance.naive import naive_classes, naive_scores

CLASSES = ["text", "cross", "image"]


@pytest.fixture
def codes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sparse codes with a dead feature (2) and one that fires in a single pair (5)."""
    image, text = rng.exponential(size=(2, 80, 10)) * (rng.random((2, 80, 10)) < 0.3)
    for side in (image, text):
        side[:, 2] = 0
        side[:, 5] = 0
    image[11, 5], text[11, 5] = 3.0, 1.0
    return image, text


def test_weights_are_poisson_and_signs_are_fair():
    weights, signs = draw(np.arange(5_000), 100, seed=3)
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.005)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert signs.mean() == pytest.approx(0, abs=0.01)
    # No two pairs and no two resamples go together.
    for table in (weights[:300], weights[:300].T, signs[:300], signs[:300].T):
        correlations = np.corrcoef(table)[np.triu_indices(len(table), 1)]
        assert np.abs(correlations.mean()) < 0.005
    assert np.corrcoef(weights.ravel(), signs.ravel())[0, 1] == pytest.approx(0, abs=0.01)


def test_a_draw_belongs_to_its_key():
    keys = np.array([700, 3, 64, 3, 63, 10**9])
    weights, signs = draw(keys, 8, seed=1)
    for row, key in enumerate(keys):
        alone = draw(np.array([key]), 8, seed=1)
        np.testing.assert_array_equal(weights[row], alone[0][0])
        np.testing.assert_array_equal(signs[row], alone[1][0])
    assert (weights[0] != weights[1]).any()
    assert (draw(keys, 8, seed=2)[0] != weights).any()


def test_groups_become_shared_keys():
    keys = group_keys(["b", "a", "b", "c"], 4)
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3


def test_intervals_leave_nan_out(rng):
    draws = rng.normal(size=(5, 40))
    draws[1, 3:] = np.nan
    draws[2] = np.nan
    low, high = percentile_interval(draws)
    for row in (0, 1, 3, 4):
        kept = draws[row][~np.isnan(draws[row])]
        np.testing.assert_allclose([low[row], high[row]], np.percentile(kept, [2.5, 97.5]), rtol=1e-12)
    assert np.isnan([low[2], high[2]]).all()


@pytest.mark.parametrize("estimator", ["mean_ratio", "energy_ratio", "signed_ratio"])
@pytest.mark.parametrize("rule", ["mu_sigma", "twofold"])
def test_uncertainty_equals_scoring_every_resample_anew(rule, estimator, codes):
    image, text = codes
    result = modality_dominance(image, text, estimator, rule, resamples=60, seed=5, block_rows=32)
    weights, signs = draw(np.arange(80), 60, seed=5)
    resampled, swapped = [], []
    for weight, sign in zip(weights.T.astype(int), signs.T, strict=True):
        rows = np.repeat(np.arange(80), weight)
        resampled.append(naive_scores(image[rows], text[rows], estimator)[0])
        swap = (sign < 0)[:, None]
        swapped.append(naive_scores(np.where(swap, text, image), np.where(swap, image, text), estimator)[0])

    for feature in range(10):
        values = np.array([scores[feature] for scores in resampled])
        values = values[~np.isnan(values)]
        if feature == 2:
            assert len(values) == 0
            assert np.isnan([result.low[2], result.high[2]]).all()
            continue
        interval = [result.low[feature], result.high[feature]]
        np.testing.assert_allclose(interval, np.percentile(values, [2.5, 97.5]), rtol=0, atol=1e-12)

    classes = np.array([naive_classes(scores, rule) for scores in resampled]).T
    own = naive_classes(naive_scores(image, text, estimator)[0], rule)
    assert (classes[5] == "dead").any(), "some resample must miss the single pair of feature 5"
    for feature in (0, 1, 3, 5, 9):
        live = classes[feature][classes[feature] != "dead"]
        shares = [(live == name).mean() for name in CLASSES]
        np.testing.assert_allclose(result.class_probability()[feature], shares, rtol=0, atol=1e-12)
        assert result.probability[feature] == pytest.approx(shares[CLASSES.index(own[feature])])
    kept = np.where(classes == "dead", np.array(own)[:, None], classes)
    for name in CLASSES:
        expected = np.percentile((kept == name).sum(axis=0), [2.5, 97.5])
        np.testing.assert_allclose(result.count_intervals()[name], expected, rtol=0, atol=1e-12)

    np.testing.assert_allclose(result.null.scores, swapped[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.null.stds, np.nanstd(swapped, axis=1), rtol=0, atol=1e-12)
    drawn = np.array([naive_classes(scores, rule) for scores in swapped])
    for name in [*CLASSES, "dead"]:
        assert result.null.class_counts[rule][name] == pytest.approx((drawn == name).sum(axis=1).mean())


def test_intervals_are_those_of_the_usual_bootstrap(rng):
    image, text = rng.exponential(size=(2, 400, 5)) ** 2
    result = modality_dominance(image, text, resamples=2_000)
    share = image / (image + text)
    draws = [share[rng.integers(0, 400, 400)].mean(axis=0) for _ in range(2_000)]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    width = high - low
    np.testing.assert_allclose(result.low, low, rtol=0, atol=0.08 * width.max())
    np.testing.assert_allclose(result.high, high, rtol=0, atol=0.08 * width.max())


@pytest.mark.parametrize("estimator", ["mean_ratio", "energy_ratio"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(estimator, rng):
    # 1,000 independent features whose true score is known: each is one experiment.
    shape = rng.uniform(0.5, 3, (2, 1_000))
    share = rng.beta(*shape, size=(200, 1_000))
    truth = shape[0] / shape.sum(axis=0)
    sides = (share, 1 - share) if estimator == "mean_ratio" else (np.sqrt(share), np.sqrt(1 - share))
    result = modality_dominance(*sides, estimator)
    coverage = ((result.low <= truth) & (truth <= result.high)).mean()
    assert 0.92 < coverage < 0.97


def test_pairs_that_repeat_tell_nothing_new(rng):
    image, text = rng.exponential(size=(2, 150, 40))
    single = modality_dominance(image, text)
    repeated = [np.repeat(side, 4, axis=0) for side in (image, text)]
    apart = modality_dominance(*repeated)
    together = modality_dominance(*repeated, groups=np.repeat(np.arange(150), 4))
    widths = [float((each.high - each.low).mean()) for each in (single, apart, together)]
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.1), "copies taken as new pairs halve the interval"
    np.testing.assert_allclose(together.low, single.low, rtol=0, atol=1e-12)
    np.testing.assert_allclose(together.high, single.high, rtol=0, atol=1e-12)
    np.testing.assert_allclose(together.null.stds, single.null.stds, rtol=0, atol=1e-12)


def test_swapped_labels_give_scores_about_a_half(rng):
    image, text = rng.exponential(size=(2, 300, 500))
    image *= np.geomspace(0.1, 10, 500)  # truly one-sided features, as many on either side
    result = modality_dominance(image, text)
    assert result.std > 5 * result.null.stds.max()
    assert result.null.scores.mean() == pytest.approx(0.5, abs=0.005)
    share = image / (image + text)
    variance = ((share - 0.5) ** 2).sum(axis=0) / 300**2  # of a mean of random signs
    assert (result.null.stds**2).mean() == pytest.approx(variance.mean(), rel=0.1)


def test_probability_says_how_near_a_bound_a_feature_is(rng):
    share = np.clip(rng.normal([0.9, 2 / 3, 0.5], 0.1, (200, 3)), 0.01, 0.99)
    result = modality_dominance(share, 1 - share, rule="twofold", resamples=500)
    assert result.probability[0] == 1
    assert 0.4 < result.probability[1] < 0.99
    assert result.probability[2] == 1
    np.testing.assert_allclose(result.class_probability().sum(axis=1), 1)


def test_without_resamples_there_is_no_uncertainty(codes):
    result = modality_dominance(*codes, resamples=0)
    assert np.isnan(result.low).all()
    assert np.isnan(result.high).all()
    assert np.isnan(result.probability).all()
    assert np.isnan(list(result.count_intervals().values())).all()
    assert result.null is None
    np.testing.assert_array_equal(result.score, modality_dominance(*codes, resamples=5).score)


def test_the_seed_decides_the_draws(codes):
    first, again, other = (modality_dominance(*codes, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.low, again.low)
    assert (first.low != other.low)[first.pairs > 1].all()
