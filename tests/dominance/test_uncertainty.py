import numpy as np
import pytest

from modalens.dominance import modality_dominance
from modalens.statistics.buckets import Buckets
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


@pytest.mark.parametrize("estimator", ["mean_ratio", "energy_ratio", "signed_ratio"])
@pytest.mark.parametrize("rule", ["mu_sigma", "twofold"])
def test_uncertainty_equals_scoring_every_resample_anew(rule, estimator, codes):
    image, text = codes
    result = modality_dominance(image, text, estimator, rule, resamples=60, seed=5, block_rows=32)
    buckets = Buckets.of(80)
    weights, signs = buckets.weights(60, 5), buckets.signs(60, 5)
    prior = naive_prior_weight(image, text, estimator)
    generator = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(2, 0)))
    normal = (generator.standard_normal((10, 60), dtype=np.float32).astype(float) for _ in range(2))
    first, second = (each**2 / 2 for each in normal)
    resampled, swapped = np.full((10, 60), np.nan), []
    for draw, (weight, sign) in enumerate(zip(weights.T, signs.T, strict=True)):
        for feature in (0, 1, 3, 4, 5, 6, 7, 8, 9):
            share, count = naive_parts(image[:, feature], text[:, feature], estimator)
            a, b = prior[feature] * first[feature, draw], prior[feature] * second[feature, draw]
            resampled[feature, draw] = (weight @ share + a) / (weight @ count + a + b)
        swap = (sign < 0)[:, None]
        swapped.append(naive_scores(np.where(swap, text, image), np.where(swap, image, text), estimator)[0])

    # Draws are kept in single precision.
    np.testing.assert_allclose(result.low, np.percentile(resampled, 2.5, axis=1), rtol=0, atol=2e-7)
    np.testing.assert_allclose(result.high, np.percentile(resampled, 97.5, axis=1), rtol=0, atol=2e-7)
    assert np.isnan([result.low[2], result.high[2]]).all()

    classes = np.array([naive_classes(scores, rule) for scores in resampled.T]).T
    own = naive_classes(naive_scores(image, text, estimator)[0], rule)
    for feature in (0, 1, 3, 5, 9):
        shares = [(classes[feature] == name).mean() for name in CLASSES]
        np.testing.assert_allclose(result.class_probability()[feature], shares, rtol=0, atol=1e-12)
        assert result.probability[feature] == pytest.approx(shares[CLASSES.index(own[feature])])
    for name in CLASSES:
        low, high = np.percentile((classes == name).sum(axis=0), [2.5, 97.5])
        mine = own.count(name)
        hull = np.clip([min(low, 2 * mine - high), max(high, 2 * mine - low)], 0, 9)
        np.testing.assert_allclose(result.count_intervals()[name], hull, rtol=0, atol=1e-12)

    np.testing.assert_allclose(result.null.scores, swapped[0], rtol=0, atol=2e-7)
    np.testing.assert_allclose(result.null.stds, np.nanstd(swapped, axis=1), rtol=0, atol=1e-7)
    drawn = np.array([naive_classes(scores, rule) for scores in swapped])
    for name in [*CLASSES, "dead"]:
        assert result.null.class_counts[rule][name] == pytest.approx((drawn == name).sum(axis=1).mean())


def naive_parts(a: np.ndarray, b: np.ndarray, estimator: str) -> tuple[np.ndarray, np.ndarray]:
    """What each pair adds to a feature's score, from the definition."""
    if estimator == "energy_ratio":
        return a**2, a**2 + b**2
    counted = (a != 0) | (b != 0)
    return np.where(counted, a / np.where(counted, a + b, 1), 0), counted.astype(float)


def naive_prior_weight(image: np.ndarray, text: np.ndarray, estimator: str) -> list[float]:
    """Weight of the prior's group for each feature, pair by pair."""
    found = []
    for feature in range(image.shape[1]):
        u, c = naive_parts(image[:, feature], text[:, feature], estimator)
        total, fires = c.sum(), (c > 0).sum()
        if not total:
            found.append((0.0, 0.0, 0.0, 0))
            continue
        score = u.sum() / total
        spread = sum((u - score * c) ** 2) * (1 + 1 / max(fires - 1, 1))
        bernoulli = score * (1 - score) + spread / total**2
        found.append((sum((c - c.mean()) ** 2) / total, bernoulli, spread / sum(c**2), fires - 1))
    pooled = sum(n * spread for _, _, spread, n in found) / sum(n * own for _, own, _, n in found)
    weights = []
    for size, bernoulli, spread, n in found:
        phi = (6 * pooled * bernoulli + n * spread) / ((6 + n) * bernoulli) if bernoulli else pooled
        weights.append(size * np.sqrt(np.clip(phi, 1e-4, 1)))
    return weights


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
    np.testing.assert_allclose(together.low, single.low, rtol=0, atol=2e-7)
    np.testing.assert_allclose(together.high, single.high, rtol=0, atol=2e-7)
    np.testing.assert_allclose(together.null.stds, single.null.stds, rtol=0, atol=1e-7)


def test_swapped_labels_give_scores_about_a_half(rng):
    image, text = rng.exponential(size=(2, 300, 500))
    image *= np.geomspace(0.1, 10, 500)  # truly one-sided features, as many on either side
    result = modality_dominance(image, text)
    assert result.std > 4 * result.null.stds.max()
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
