import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from scipy import stats

from modalens.errors import ModalensError
from modalens.interpret import METRICS, Monosemanticity, monosemanticity, top_samples
from modalens.interpret.draws import RandomSamples, distinct_numbers
from modalens.statistics.groups import random_blocks
from modalens.store import EmbeddingStore
from modalens.store.columns import ShardedColumn


def sparse_features(rng: np.random.Generator, n: int, f: int) -> np.ndarray:
    """Features that fire in anything from 0 to all samples."""
    codes = rng.exponential(size=(n, f)) * (rng.random((n, f)) < np.linspace(0, 1, f) ** 2)
    codes[:, 0], codes[:, 1] = 0, 0
    codes[5, 1] = 1  # fires once
    codes[:, 2] = 0.25  # constant
    return codes


def naive(codes, embeddings, keys, m, seed, draws, without=()) -> dict[str, np.ndarray]:
    """By plain loops; ``without`` some blocks of groups, if told."""
    f = codes.shape[1]
    groups = np.unique(keys)
    there = groups[~np.isin(random_blocks(len(groups), 20, seed), without)]
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosine = unit @ unit.T
    chance = np.mean([cosine[np.ix_(keys == a, keys == b)].mean() for a in there for b in there if a != b])
    results = {name: np.full((f, draws), np.nan) for name in (*METRICS, "small", "similarity")}
    for features, drawn in RandomSamples(f, keys, min(m, len(groups)), draws + 1, seed):
        for place, feature in enumerate(features):
            firing = sorted(
                np.flatnonzero(codes[:, feature]), key=lambda i, j=feature: (-abs(codes[i, j]), i)
            )
            rows = [row for at, row in enumerate(firing) if keys[row] not in keys[firing[:at]]][:m]
            if len(rows) < 2 or len(set(codes[:, feature])) == 1:
                continue
            for draw in range(draws):
                random = drawn[draw + 1][place]
                strong, wins, ratios, small = [], [], [], 0
                for i in range(len(rows)):
                    for j in range(len(rows)):
                        if i == j or not {keys[rows[i]], keys[rows[j]]} <= set(there):
                            continue
                        plus, minus = cosine[rows[i], rows[j]], cosine[random[i], random[j]]
                        strong.append(plus)
                        if {keys[random[i]], keys[random[j]]} <= set(there):
                            wins.append(plus > minus)
                            ratios.append((plus - minus) / minus)
                            small += abs(minus) < 1e-3
                if not wins:
                    continue
                embsim = (np.mean(strong) - chance) / abs(chance)
                row = {
                    "embsim": embsim,
                    "winrate": np.mean(wins),
                    "mono": (embsim + np.mean(wins)) / 2,
                    "embsim_elementwise": np.mean(ratios),
                    "small": small,
                    "similarity": np.mean(strong),
                }
                for name, value in row.items():
                    results[name][feature, draw] = value
    return results


@pytest.mark.parametrize(("n", "m", "draws"), [(60, 6, 3), (9, 20, 4), (60, 2, 1)])
@pytest.mark.parametrize("copies", [1, 4])
def test_equals_the_naive_loops(n, m, draws, copies, rng):
    codes, embeddings = sparse_features(rng, n, 14), rng.normal(0.2, 1, size=(n, 5))
    codes[:, 9] *= rng.choice([-1, 1], n)
    keys = np.arange(n) // copies
    wanted = naive(codes, embeddings, keys, m, 7, draws)
    result = monosemanticity(
        sp.csr_array(codes), embeddings, m, 7, draws=draws, groups=[f"group {key}" for key in keys]
    )
    for name in (*METRICS, "similarity"):
        mean = wanted[name].mean(axis=1)
        np.testing.assert_allclose(getattr(result, name), mean, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(result.small_denominators, np.nansum(wanted["small"], axis=1))
    firing = np.array([len(np.unique(keys[column != 0])) for column in codes.T]).clip(None, m)
    np.testing.assert_array_equal(result.samples, firing)
    np.testing.assert_array_equal(result.scored, (firing >= 2) & (np.arange(14) != 2))
    np.testing.assert_allclose(result.mono_elementwise, (result.embsim_elementwise + result.winrate) / 2)
    for name in METRICS:
        scores = wanted[name][result.scored]
        if draws == 1:
            assert np.isnan(result.intervals[name]).all()
            continue
        reach = stats.t(draws - 1).ppf(0.975) * stats.sem(scores, axis=1)[:, None] * [-1, 1]
        interval = result.intervals[name][result.scored]
        np.testing.assert_allclose(interval, scores.mean(axis=1)[:, None] + reach, rtol=1e-8, atol=1e-12)


def test_scores_without_blocks_leave_out_the_pairs_that_they_touch(rng):
    codes, embeddings = np.abs(rng.normal(size=(90, 6))), rng.normal(0.2, 1, size=(90, 5))
    keys = np.arange(90) // 2
    result = monosemanticity(codes, embeddings, 12, 3, draws=2, groups=keys)
    for kept, place, without in (
        (result.left_out, 0, [0]),
        (result.left_out, 19, [19]),
        (result.left_out_two, 3, [6, 7]),
    ):
        wanted = naive(codes, embeddings, keys, 12, 3, 2, without)
        for name in METRICS:
            np.testing.assert_allclose(kept[name][:, place], wanted[name].mean(axis=1), rtol=1e-9, atol=1e-12)
    assert [kept["mono"].shape for kept in (result.left_out, result.left_out_two)] == [(6, 20), (6, 10)]


def test_four_copies_do_not_make_a_meaningless_feature_mean_something(rng):
    """A feature that fires for the four copies of a few random samples."""
    originals = rng.normal(0.8, 1, size=(200, 16))
    keys = np.repeat(np.arange(200), 4)
    embeddings = originals[keys] + 0.1 * rng.normal(size=(800, 16))
    codes = np.where((rng.random((200, 400)) < 0.025)[keys], 1 + rng.random((800, 400)), 0)
    with pytest.warns(UserWarning, match="groups="):
        monosemanticity(codes, originals[keys])
    apart = monosemanticity(codes, embeddings)
    together = monosemanticity(codes, embeddings, groups=keys)
    assert apart.mono[apart.scored].mean() > apart.chance["mono"][apart.scored].mean() + 0.2
    scored = together.scored
    assert abs(together.mono[scored].mean() - together.chance["mono"][scored].mean()) < 0.08
    assert (together.samples <= apart.samples).all()
    assert together.n_groups == 200


def test_columns_of_a_store_bring_their_groups(rng, tmp_path):
    embeddings = np.repeat(rng.normal(size=(20, 3)), 3, axis=0)
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "text_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    np.save(tmp_path / "img_emb" / "img_emb_0000.npy", embeddings)
    np.save(tmp_path / "text_emb" / "text_emb_0000.npy", rng.normal(size=(60, 3)))
    pictures = [f"{row // 3}.png" for row in range(60)]
    pd.DataFrame({"image_path": pictures}).to_parquet(tmp_path / "metadata" / "metadata_0000.parquet")
    store = EmbeddingStore.open(tmp_path)
    codes = np.abs(rng.normal(size=(60, 4)))
    expected = monosemanticity(codes, embeddings, m=5, groups=pictures).to_frame()
    assert monosemanticity(codes, store.image, m=5).n_groups == 20
    pd.testing.assert_frame_equal(monosemanticity(codes, store.image, m=5).to_frame(), expected)
    picked = store.image.pick(np.arange(30))
    assert monosemanticity(codes[:30], picked, m=5).n_groups == 10


def test_small_denominators_are_counted(rng):
    embeddings = np.abs(np.eye(12)[rng.integers(0, 12, 40)]) + 1e-5
    codes = np.abs(rng.normal(size=(40, 5)))
    result = monosemanticity(codes, embeddings, m=8, draws=3)
    wanted = naive(codes, embeddings, np.arange(40), 8, 0, 3)["small"].sum(axis=1)
    assert (wanted > 50).all()
    np.testing.assert_array_equal(result.small_denominators, wanted)


def test_every_kind_of_matrix_gives_the_same(rng, tmp_path):
    codes = sparse_features(rng, 80, 10).astype(np.float32)
    embeddings = rng.normal(size=(80, 6)).astype(np.float32)
    first = monosemanticity(codes, embeddings, m=5).to_frame()
    for shard, rows in enumerate(np.split(embeddings, [13, 50])):
        np.save(tmp_path / f"{shard}.npy", rows)
    shards = ShardedColumn(sorted(tmp_path.iterdir()))
    for other in (
        monosemanticity(sp.csr_array(codes), torch.from_numpy(embeddings), m=5),
        monosemanticity(torch.from_numpy(codes), sp.csr_array(embeddings), m=5),
        monosemanticity(sp.coo_array(codes), 4 * embeddings, m=5),
        monosemanticity(codes, embeddings, m=5, top=top_samples(codes, 9)),
        monosemanticity(sp.csr_array(codes), shards, m=5),
        monosemanticity(codes, shards.pick(np.arange(80)), m=5),
    ):
        pd.testing.assert_frame_equal(other.to_frame(), first, rtol=1e-9)


def test_a_feature_scores_the_same_beside_any_others(rng):
    codes, embeddings = np.abs(rng.normal(size=(300, 600))), rng.normal(size=(300, 4))
    whole = monosemanticity(codes, embeddings, m=4, seed=3)
    part = monosemanticity(codes[:, :300], embeddings, m=4, seed=3)
    for name in METRICS:
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:300])
    fewer = monosemanticity(codes, embeddings, m=4, seed=3, draws=4)
    np.testing.assert_array_equal(fewer.similarity, whole.similarity)
    again = monosemanticity(codes, embeddings, m=4, seed=3)
    pd.testing.assert_frame_equal(again.to_frame(), whole.to_frame())
    other = monosemanticity(codes, embeddings, m=4, seed=4)
    assert (other.winrate != whole.winrate).mean() > 0.9
    np.testing.assert_allclose(fewer.embsim, whole.embsim)  # nothing is drawn for it


def test_planted_concepts_stand_out_and_noise_scores_by_chance(rng):
    concepts = rng.integers(0, 10, 2000)
    embeddings = 0.8 * np.eye(12)[concepts] + 0.25 + 0.1 * rng.normal(size=(2000, 12))
    concept = (concepts[:, None] == np.arange(10)) * rng.exponential(size=(2000, 10))
    noise = rng.exponential(size=(2000, 200)) * (rng.random((2000, 200)) < 0.1)
    result = monosemanticity(sp.csr_array(np.hstack([concept, noise])), embeddings)
    assert (result.winrate[:10] > 0.85).all()
    assert (result.embsim[:10] > 0.4).all()
    # Each concept beats every chance score, and noise is chance itself.
    assert result.mono[:10].min() > result.chance["mono"].max()
    for name, tolerance in (("winrate", 0.01), ("embsim", 0.02), ("embsim_elementwise", 0.02)):
        assert abs(getattr(result, name)[10:].mean() - result.chance[name].mean()) < tolerance
    # By chance alone the mean of ratios lies over 0, the ratio of means does not.
    assert result.chance["embsim_elementwise"].mean() > 0.02
    assert abs(result.chance["embsim"].mean()) < 0.01


def test_chance_scores_a_random_set_of_as_many_samples(rng):
    codes, embeddings = np.abs(rng.normal(size=(100, 3))), rng.normal(0.5, 1, size=(100, 4))
    result = monosemanticity(codes, embeddings, m=5, draws=2, seed=1)
    (_, (stand_in, *_)) = RandomSamples(3, np.arange(100), 5, 3, 1)[0]
    swapped = np.zeros((100, 3))
    for feature, rows in enumerate(stand_in):
        swapped[rows, feature] = np.arange(5, 0, -1)
    as_top = monosemanticity(swapped, embeddings, m=5, draws=2, seed=1)
    for name in METRICS:
        np.testing.assert_allclose(result.chance[name], getattr(as_top, name))


def test_the_number_of_cores_and_the_kind_of_matrix_change_nothing(rng, monkeypatch):
    codes = np.maximum(rng.normal(size=(90, 600)), 0)  # several chunks of features
    embeddings = rng.normal(0.3, 1, size=(90, 13)).astype(np.float32)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = monosemanticity(codes, embeddings, m=9, draws=2)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    for matrix in (embeddings, embeddings.astype(np.float64), torch.from_numpy(embeddings)):
        result = monosemanticity(codes, matrix, m=9, draws=2)
        for name in METRICS:
            np.testing.assert_array_equal(getattr(result, name), getattr(alone, name))
            np.testing.assert_array_equal(result.left_out_two[name], alone.left_out_two[name])


def test_few_firing_samples_do_not_blow_up_the_ratio(rng):
    embeddings = rng.normal(size=(500, 50)) + 0.35
    codes = np.zeros((500, 300))
    for feature in range(300):
        codes[rng.choice(500, 2, replace=False), feature] = 1, 2
    result = monosemanticity(sp.csr_array(codes), embeddings)
    assert (result.samples == 2).all()
    assert np.abs(result.embsim).max() < 10
    assert abs(result.embsim.mean()) < 0.25


def test_random_samples_are_members_of_different_groups():
    keys = np.repeat(np.arange(8), [1, 2, 3, 1, 5, 4, 1, 1])[np.random.default_rng(1).permutation(18)]
    drawn = np.concatenate([rows for _, each in RandomSamples(2000, keys, 6, 2, 0) for rows in each])
    assert (np.diff(np.sort(keys[drawn], axis=1), axis=1) > 0).all()
    taken = np.bincount(drawn.ravel(), minlength=18)
    groups = np.bincount(keys[drawn.ravel()])
    assert groups / groups.mean() == pytest.approx(
        1, abs=0.05
    )  # groups are equally likely, and members of one
    assert taken == pytest.approx((groups / np.bincount(keys))[keys], rel=0.1)


def test_random_numbers_are_distinct_and_every_order_is_equally_likely():
    generator = np.random.default_rng(0)
    rows = distinct_numbers(generator, 24_000, 4, 3)
    orders, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(orders) == 24
    assert all(len(set(order)) == 3 for order in orders.tolist())
    assert stats.chisquare(counts).pvalue > 1e-3
    assert (np.sort(distinct_numbers(generator, 5, 7, 7)) == np.arange(7)).all()


def test_orthogonal_samples_leave_no_division_by_zero():
    embeddings = np.eye(8)
    codes = np.zeros((8, 2))
    codes[:4, 0] = 4, 3, 2, 1
    codes[:, 1] = np.arange(8)
    result = monosemanticity(codes, embeddings, m=3)
    assert result.winrate.tolist() == [0, 0]
    assert np.isnan(result.embsim).all()
    assert np.isnan(result.embsim_elementwise).all()
    assert (result.small_denominators == 3 * 2 * 5).all()


def test_saved_scores_come_back_bit_for_bit(rng, tmp_path):
    codes = sparse_features(rng, 50, 8)
    result = monosemanticity(codes, rng.normal(size=(50, 4)), m=np.int64(5), source={"embedder": "toy"})
    result.save(tmp_path / "made" / "mono.parquet")
    back = Monosemanticity.load(str(tmp_path / "made" / "mono.parquet"))
    pd.testing.assert_frame_equal(back.to_frame(), result.to_frame(), check_exact=True)
    for name in METRICS:
        np.testing.assert_array_equal(back.intervals[name], result.intervals[name])
        np.testing.assert_array_equal(back.chance[name], result.chance[name])
        np.testing.assert_array_equal(back.left_out[name], result.left_out[name])
        np.testing.assert_array_equal(back.left_out_two[name], result.left_out_two[name])
    for name in ("baseline", "m", "by", "draws", "seed", "n_samples", "n_groups", "source", "version"):
        assert getattr(back, name) == getattr(result, name), name
    frame = pd.read_parquet(tmp_path / "made" / "mono.parquet")
    np.testing.assert_array_equal(frame["mono"], result.mono)


def test_other_files_are_refused(rng, tmp_path):
    with pytest.raises(ModalensError, match="no file"):
        Monosemanticity.load(tmp_path / "none.parquet")
    with pytest.raises(ModalensError, match=r"\.parquet"):
        Monosemanticity.load(tmp_path / "none.json")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ModalensError, match="not a Parquet file"):
        Monosemanticity.load(tmp_path / "text.parquet")
    pd.DataFrame({"mono": [1.0]}).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(ModalensError, match="does not hold"):
        Monosemanticity.load(tmp_path / "plain.parquet")


def zero_row(codes, embeddings):
    embeddings[7] = 0
    return monosemanticity(codes, embeddings)


def nan_row(codes, embeddings):
    embeddings[7, 2] = np.nan
    return monosemanticity(codes, embeddings)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (zero_row, "row 7 has no embedding"),
        (nan_row, "row 7"),
        (lambda c, e: monosemanticity(c, e[:-1]), "features of 30 samples and embeddings of 29"),
        (lambda c, e: monosemanticity(c, e, m=1), "m must be a whole number of at least 2"),
        (lambda c, e: monosemanticity(c, e, draws=0), "draws"),
        (lambda c, e: monosemanticity(c, e, seed=-1), "seed"),
        (lambda c, e: monosemanticity(c, e, by="size"), "choose one of"),
        (lambda c, e: monosemanticity(c, e, top=top_samples(c, 20, "value")), "by='value'"),
        (lambda c, e: monosemanticity(c, e, groups=[0, 1]), "groups has 2 labels"),
        (
            lambda c, e: monosemanticity(c, e, groups=np.arange(30) // 2, top=top_samples(c)),
            "several samples",
        ),
        (lambda c, e: monosemanticity(c, e, top=top_samples(c, 5)), "at least m=20"),
        (lambda c, e: monosemanticity(c, e, top=top_samples(c[:, :3])), "does not belong"),
        (lambda c, e: monosemanticity(c[:9], e[:9], top=top_samples(c)), "does not belong"),
        (lambda c, e: monosemanticity(c[0], e), "two dimensions"),
    ],
)
def test_bad_input(act: Callable, message, rng):
    with pytest.raises(ModalensError, match=message):
        act(rng.normal(size=(30, 4)), rng.normal(size=(30, 5)))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_features():
    """Peak growth at 65,536 features, m 20, 384 dimensions, in a process of its own."""
    script = """
import numpy as np, resource, scipy.sparse as sp
from modalens.interpret import monosemanticity
rng = np.random.default_rng(0)
n, f, k = 4000, 65_536, 40
codes = sp.csr_array((rng.random(n * k, dtype=np.float32), rng.integers(0, f, n * k), np.arange(0, n * k + 1, k)),
                     shape=(n, f))
embeddings = rng.random((n, 384), dtype=np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scores = monosemanticity(codes, embeddings, draws=1)
assert scores.scored.sum() > 10_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.5
