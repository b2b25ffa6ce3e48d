import numpy as np
import pytest
import scipy.sparse as sp
import torch

from modalens.errors import ModalensError
from modalens.statistics.groups import group_keys, repeated_rows, warn_of_copies


def test_groups_become_shared_keys():
    keys = group_keys(["b", "a", "b", "c"], 4)
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    "kind",
    [
        lambda x: x,
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.float16),
        lambda x: torch.tensor(x, dtype=torch.float16),
        np.asfortranarray,
        sp.csr_array,
        lambda x: sp.csc_array(x.astype(np.float32)),
    ],
)
@pytest.mark.parametrize("cores", ["1", "3"])
def test_equal_rows_have_one_number_in_order_of_appearance(kind, cores, rng, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    # Rows of few values, many of which differ in one place or in the order of their values alone.
    rows = rng.integers(-1, 2, (5_000, 6)) / 2.0
    rows[::7] *= -0.0
    seen: dict[tuple, int] = {}
    expected = [seen.setdefault(tuple(row), len(seen)) for row in (rows + 0.0).tolist()]
    assert 300 < len(seen) <= 3**6
    np.testing.assert_array_equal(repeated_rows(kind(rows)), expected)
    np.testing.assert_array_equal(repeated_rows(kind(rows), 100), expected[:100])


def test_rows_that_are_not_finite_are_refused(rng):
    rows = rng.normal(size=(5_000, 3)).astype(np.float32)
    rows[4_321, 2] = np.nan
    with pytest.raises(ModalensError, match="NaN or infinite value in row 4321"):
        repeated_rows(rows)


@pytest.mark.parametrize("kind", [np.float32, sp.csr_array])
def test_copies_are_told_and_rows_of_zeros_are_none(kind, rng, recwarn):
    rows = rng.normal(size=(400, 5)) * (np.arange(400) % 3 > 0)[:, None]
    assert not warn_of_copies(kind(rows), "image")
    assert not recwarn
    rows[::2] = rows[1]
    with pytest.warns(
        UserWarning, match="200 of the first 333 rows of the image matrix repeat an earlier row"
    ):
        assert warn_of_copies(kind(rows), "image")
