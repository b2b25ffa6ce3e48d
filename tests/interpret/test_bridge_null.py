import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import norm, t

from modalens.interpret import bounds as bounds_module
from modalens.interpret.bridge_null import ChanceOfBest, shuffled_orders
from modalens.interpret.bridges import bridges
from modalens.interpret.correlation import Correlations, read_side
from modalens.statistics.groups import random_blocks
from tests.interpret.naive_bridges import pearson, scores
from tests.interpret.planted_codes import plant_codes

# Correlations


@pytest.mark.parametrize("kinds", ["ss", "dd", "sd", "ds"])
@pytest.mark.parametrize("repeats", [False, True])
def test_blocks_hold_pearson_correlations_of_shuffled_pairs(kinds, repeats, rng):
    codes = [rng.exponential(size=(80, 9)) * (rng.random((80, 9)) < 0.3) for _ in range(2)]
    for side in codes:
        side[:, 4] = 0.7  # constant: no correlation
    features = [np.array([0, 2, 4, 8]), np.array([1, 3, 4, 5, 7])]
    chosen = rng.random(80) < 0.8
    sides = [
        read_side(sp.csr_array(side) if kind == "s" else side, wanted, chosen, "image")
        for side, kind, wanted in zip(codes, kinds, features, strict=True)
    ]
    pairs = int(chosen.sum())
    order = rng.integers(0, pairs, pairs) if repeats else rng.permutation(pairs)
    product = Correlations(*sides)
    assert product.shape == (4, 5)
    found = np.full((4, 5), np.nan)
    for start, stop in product.blocks(10):
        rows, columns, values = product.block(start, stop, product.pairing(order))
        found[start + rows, columns] = values
    for a, i in enumerate(features[0]):
        for b, j in enumerate(features[1]):
            x, y = codes[0][chosen, i], codes[1][chosen, j][order]
            if i == 4 or j == 4:
                assert found[a, b] == 0 or np.isnan(found[a, b])
            elif np.isnan(found[a, b]):
                assert not (x * y).any()
            else:
                assert found[a, b] == pytest.approx(pearson(x, y), abs=1e-12)
    assert [side.varies.tolist() for side in sides] == [[i != 4 for i in wanted] for wanted in features]


def test_correlations_survive_extreme_scales(rng):
    x, y = rng.normal(size=(2, 50, 1))
    y += x
    for scale in (1e-200, 1e200):
        sides = [read_side(convert(side * scale), np.array([0]), np.ones(50, bool), "image")
                 for side, convert in ((x, np.asarray), (y, sp.csr_array))]  # fmt: skip
        product = Correlations(*sides)
        value = product.block(0, 1, product.pairing(np.arange(50))).values
        assert value == pytest.approx(pearson(x[:, 0], y[:, 0]), abs=1e-12)


# The null


def test_pairs_are_shuffled_one_by_one_without_groups():
    orders = np.stack(list(shuffled_orders(np.arange(50), 30, seed=1)))
    assert (np.sort(orders, axis=1) == np.arange(50)).all()
    assert len(np.unique(orders, axis=0)) == 30
    np.testing.assert_array_equal(orders[:4], list(shuffled_orders(np.arange(50), 4, seed=1)))
    assert (orders != list(shuffled_orders(np.arange(50), 30, seed=2))).any()


def test_groups_are_exchanged_whole(rng):
    sizes = rng.permutation(np.repeat([1, 2, 5, 9], [40, 25, 12, 3]))
    keys = rng.permutation(np.repeat(np.arange(80), sizes))
    for order in shuffled_orders(keys, 5, seed=0):
        met = []
        for group, size in enumerate(sizes):
            rows = order[keys == group]
            (other,) = set(keys[rows])
            met.append(other)
            assert len(set(rows)) == min(size, sizes[other])
            assert np.bincount(rows).max() == -(-size // sizes[other])
        assert sorted(met) == list(range(80))
        assert sum(met != np.arange(80)) > 70


def test_captions_of_equal_number_are_only_moved(rng):
    keys = rng.permutation(np.repeat(np.arange(30), 5))
    for order in shuffled_orders(keys, 5, seed=0):
        assert (np.sort(order) == np.arange(150)).all()


def test_p_values_count_the_pool():
    null = np.array([[0.0, 0.0], [2.0, 4.0], [1.0, 2.0], [3.0, 2.0]])
    # Means 1 and 2, spreads 1 and 2, each and the median spread 1.5: the pool is 0, 0, 0.8, 0.
    p = ChanceOfBest(null).p_values(np.array([3.0, 2.0]))
    np.testing.assert_allclose(p, [2 / 5, 5 / 5])
    np.testing.assert_allclose(ChanceOfBest(null).p_values(np.array([3.1, 9.0])), [1 / 5, 1 / 5])


def test_p_values_are_even_where_pairs_are_shuffled_and_a_normal_approximation_is_not():
    """Rarely firing features meet high correlations by chance, which is why the null is made of shuffles."""
    ours, normal = [], []
    for seed in range(8):
        planted = plant_codes(n=2000, splits=60, private=60, shared=10, rates=(0.0005, 0.03), seed=seed)
        text = planted.text[np.random.default_rng(seed + 99).permutation(2000)]
        links = bridges(planted.image, text, None, planted.mds, seed=seed)
        one_sided = links.verdict != ""
        ours.append(links.p_value[one_sided])
        z = np.nan_to_num(links.highest_correlation[one_sided]) * np.sqrt(2000)
        normal.append(-np.expm1(one_sided.sum() / 2 * norm.logcdf(z)))
    ours, normal = np.concatenate(ours), np.concatenate(normal)
    for level in (0.05, 0.2, 0.5):
        assert (ours <= level).mean() == pytest.approx(level, rel=0.25)
    assert (normal <= 0.05).mean() > 0.5


def naive_bound(x, y, keys, blocks):
    """Upper bound of one correlation, by its definition, and the group count of x."""
    groups = np.unique(keys)
    share = [
        (energy**2).sum() / energy.sum() ** 2
        for values in (x, y)
        for energy in [np.array([(values[keys == group] ** 2).sum() for group in groups])]
    ]
    a, b = ((values - values.mean()) / np.linalg.norm(values - values.mean()) for values in (x, y))
    r = (a @ b + np.sqrt(share[0] * share[1])) / np.sqrt((1 + share[0]) * (1 + share[1]))
    a, b = np.append(a, np.sqrt(share[0])), np.append(b, np.sqrt(share[1]))
    influence = a * b / np.sqrt((1 + share[0]) * (1 + share[1]))
    influence -= r * (a**2 / (1 + share[0]) + b**2 / (1 + share[1])) / 2
    of = np.append(blocks[keys], blocks.max() + 1)
    sums = np.array([influence[of == block].sum() for block in range(blocks.max() + 2)])
    size = blocks.max() + 1
    fired = len(np.unique(keys[x != 0]))
    assert sums.sum() == pytest.approx(0, abs=1e-9)
    return r + t.ppf(0.95, min(size, fired) - 1) * np.sqrt(size / (size - 1) * (sums**2).sum()), fired


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("copies", [1, 3])
def test_bounds_equal_their_definition(convert, copies, rng, monkeypatch):
    codes = rng.exponential(size=(2, 240, 5)) * (rng.random((2, 240, 5)) < 0.3)
    codes[1][:, 2] = codes[0][:, 1] + 0.3 * codes[1][:, 2]
    keys = np.arange(240) // copies
    labels = ["image", "image", "text", "text", "text"]
    monkeypatch.setattr(bounds_module, "_ENTRIES", 3)
    links = bridges(*map(convert, codes), None, scores(labels), 4, shuffles=100, groups=keys)
    blocks = random_blocks(240 // copies, 32, 4)
    for feature, label in enumerate(labels):
        mine, theirs, others = (*codes, (2, 3, 4)) if label == "image" else (*codes[::-1], (0, 1))
        found = [naive_bound(mine[:, feature], theirs[:, other], keys, blocks)[0] for other in others]
        assert links.correlation_bound[feature] == pytest.approx(min(max(found), 1))


@pytest.mark.parametrize("per_row", [1, 12])
@pytest.mark.parametrize("repeats", [False, True])
def test_best_of_shuffled_pairs_equals_the_blocks_of_correlations(per_row, repeats, rng):
    """Whether few of the other side's features are met, or most."""
    n, f = 60, 900
    codes = [np.zeros((n, f)) for _ in range(2)]
    for side in codes:
        for row in range(n):
            side[row, rng.choice(f if per_row == 1 else 40, per_row, replace=False)] = rng.exponential(
                size=per_row
            )
    features, chosen = np.arange(f), np.ones(n, dtype=bool)
    product = Correlations(*(read_side(sp.csr_array(side), features, chosen, "image") for side in codes))
    pairing = product.pairing(rng.integers(0, n, n) if repeats else rng.permutation(n))
    geometry = rng.random((f, f), dtype=np.float32)
    for weights in (None, geometry):
        rows, columns, values = product.block(0, f, pairing)
        bridges_found = values if weights is None else values * weights[rows, columns]
        wanted, best = np.zeros((2, f)), np.zeros((2, f))
        np.maximum.at(wanted[0], rows, bridges_found)
        np.maximum.at(wanted[1], columns, bridges_found)
        product.raise_best(0, 500, None if weights is None else weights[:500], pairing, *best)
        product.raise_best(500, f, None if weights is None else weights[500:], pairing, *best)
        np.testing.assert_array_equal(best, wanted)
