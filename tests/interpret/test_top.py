import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modalens.errors import ModalensError
from modalens.interpret import top_samples


def naive(x: np.ndarray, m: int, by: str, sparse: bool, keys=None) -> tuple[np.ndarray, np.ndarray]:
    n, f = x.shape
    keys = np.arange(n) if keys is None else keys
    rows, values = np.full((f, m), -1), np.full((f, m), np.nan, dtype=np.float32)
    for j in range(f):
        strength = {i: abs(x[i, j]) if by == "magnitude" else x[i, j] for i in range(n)}
        all_ranked = by == "value" and not sparse and min(strength.values()) < 0
        listed = [i for i in range(n) if all_ranked or strength[i] > 0]
        listed = sorted(listed, key=lambda i: (-strength[i], i))
        strongest: dict[int, int] = {}  # of each group
        for i in listed:
            strongest.setdefault(keys[i], i)
        listed = list(strongest.values())[:m]
        rows[j, : len(listed)] = listed
        values[j, : len(listed)] = x[listed, j]
    return rows, values


# Few distinct values, so that ties and features that rest at 0 are common.
features = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([-2.0, -0.5, 0.0, 0.0, 0.0, 0.5, 1.0, 3.0]),
)


@given(
    x=features,
    m=st.integers(1, 14),
    by=st.sampled_from(["value", "magnitude"]),
    rows=st.integers(1, 13),
    groups=st.integers(1, 12),
)
@settings(max_examples=150)
def test_equals_the_naive_ranking_however_rows_are_cut(x, m, by, rows, groups):
    keys = np.random.default_rng(groups).integers(0, groups, len(x))
    for matrix, sparse in ((x, False), (sp.csr_array(x), True), (np.abs(x), False), (sp.coo_array(x), True)):
        plain = np.abs(x) if matrix is not x and not sparse else x
        top = top_samples(matrix, m, by, block_rows=rows)
        wanted_rows, wanted_values = naive(plain, m, by, sparse)
        np.testing.assert_array_equal(top.rows, wanted_rows)
        np.testing.assert_array_equal(top.values, wanted_values)
        np.testing.assert_array_equal(top.fired, (plain != 0).sum(axis=0))
        np.testing.assert_array_equal(top.constant, (plain == plain[0]).all(axis=0))
        np.testing.assert_array_equal(top.counts, (wanted_rows >= 0).sum(axis=1))
        of_groups = top_samples(matrix, m, by, groups=keys, block_rows=rows)
        wanted_rows, wanted_values = naive(plain, m, by, sparse, keys)
        np.testing.assert_array_equal(of_groups.rows, wanted_rows)
        np.testing.assert_array_equal(of_groups.values, wanted_values)
        assert (top.rows.dtype, top.values.dtype, top.fired.dtype) == (np.int64, np.float32, np.int64)


def test_many_blocks_of_real_numbers(rng):
    x = rng.normal(size=(3000, 40)).astype(np.float32)
    order = np.argsort(-abs(x), axis=0, kind="stable")[:20].T
    groups = np.arange(3000) // 7
    of_groups, _ = naive(x, 20, "magnitude", False, groups)
    for matrix in (x, torch.from_numpy(x)):
        top = top_samples(matrix, block_rows=128)
        np.testing.assert_array_equal(top.rows, order)
        np.testing.assert_array_equal(top.values, np.take_along_axis(x.T, order, axis=1))
        np.testing.assert_array_equal(top_samples(matrix, groups=groups, block_rows=128).rows, of_groups)
    relu = sp.csr_array(np.maximum(x - 1, 0))
    order = np.argsort(-x, axis=0, kind="stable")[:20].T
    for by in ("magnitude", "value"):
        np.testing.assert_array_equal(top_samples(relu, by=by, block_rows=128).rows, order)


def test_the_number_of_cores_changes_nothing(rng, monkeypatch):
    x = rng.normal(size=(500, 133)).round(1)  # several lanes of features, and ties
    order = np.argsort(-abs(x), axis=0, kind="stable")[:7].T
    for cores in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        for matrix in (x, sp.csr_array(x)):
            top = top_samples(matrix, 7, block_rows=100)
            np.testing.assert_array_equal(
                top.rows, np.where(np.take_along_axis(x.T, order, 1) != 0, order, -1)
            )
            np.testing.assert_array_equal(top.fired, np.count_nonzero(x, axis=0))


def test_a_sparse_feature_lists_only_samples_in_which_it_fires():
    codes = np.zeros((6, 4))
    codes[[4, 1], 0] = 1, 2
    codes[:, 1] = 0.5  # constant
    codes[2, 3] = -1
    for matrix in (codes, sp.csr_array(codes)):
        top = top_samples(matrix, 3, "value")
        np.testing.assert_array_equal(top.rows[:3], [[1, 4, -1], [0, 1, 2], [-1, -1, -1]])
        np.testing.assert_array_equal(top.values[0], [2, 1, np.nan])
        assert top.fired.tolist() == [2, 6, 0, 1]
        assert top.constant.tolist() == [False, True, True, False]
    # By value a signed feature ranks every sample if dense, and none under 0 if sparse.
    assert top_samples(codes, 3, "value").rows[3].tolist() == [0, 1, 3]
    assert top_samples(sp.csr_array(codes), 3, "value").rows[3].tolist() == [-1, -1, -1]
    # It answers to what it gives a large value, whatever the sign.
    assert top_samples(sp.csr_array(codes), m=3).rows[3].tolist() == [2, -1, -1]
    assert top_samples(sp.csr_array(codes), m=3).values[3, 0] == -1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"m": 0}, "m must be a whole number of at least 1, not 0"),
        ({"m": 2.5}, "not 2.5"),
        ({"by": "size"}, "choose one of magnitude, value"),
        ({"block_rows": 0}, "block_rows"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ModalensError, match=message):
        top_samples(np.eye(3), **arguments)


def test_bad_matrices():
    with pytest.raises(ModalensError, match="empty"):
        top_samples(np.zeros((0, 3)))
    x = np.eye(4)
    x[2, 1] = np.nan
    with pytest.raises(ModalensError, match="row 2"):
        top_samples(x)
