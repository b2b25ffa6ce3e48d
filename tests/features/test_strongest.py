"""The strongest activations of samples, beside sorting each sample."""

import numpy as np
import pytest

from modalens.features.strongest import strongest

SIZES = ((20, 1024, 32), (7, 1000, 32), (5, 5000, 40), (10, 5, 5), (10, 200, 1), (9, 300, 150), (7, 256, 256))


def naive(row, k):
    """Features of the k largest positive numbers, the first of equal ones, ascending."""
    positive = np.where(row > 0, row, 0)  # NaN is not positive
    order = np.argsort(-positive, kind="stable")[:k]
    return np.sort(order[positive[order] > 0])


def activations(kind, n, f, rng):
    x = rng.standard_normal((n, f)).astype(np.float32)
    if kind == "equal ones":
        return np.round(x)
    if kind == "few":
        return np.where(rng.random((n, f)) < 0.95, -1, x).astype(np.float32)
    if kind == "all the same":
        return np.full((n, f), 0.5, dtype=np.float32)
    if kind == "not finite":
        x[rng.random((n, f)) < 0.1] = np.nan
        x[rng.random((n, f)) < 0.05] = np.inf
    if kind == "subnormal":
        return np.asarray(x * 1e-44, dtype=np.float32)
    if kind == "far apart":
        return np.asarray(np.exp(20 * x), dtype=np.float32)
    return x


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "kind", ["normal", "equal ones", "few", "all the same", "not finite", "subnormal", "far apart"]
)
def test_the_strongest_are_those_of_sorting(kind, size, rng):
    n, f, k = size
    x = activations(kind, n, f, rng)
    codes = strongest(x, k)
    assert codes.shape == (n, f)
    assert codes.dtype == np.float32
    for sample in range(n):
        here = slice(codes.indptr[sample], codes.indptr[sample + 1])
        wanted = naive(x[sample], k)
        np.testing.assert_array_equal(codes.indices[here], wanted)
        np.testing.assert_array_equal(codes.data[here], x[sample, wanted])


def test_the_number_of_cores_changes_nothing(rng, monkeypatch):
    x = activations("equal ones", 31, 700, rng)
    found = []
    for cores in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        found.append(strongest(x, 16))
    for other in found[1:]:
        assert all(
            np.array_equal(getattr(found[0], part), getattr(other, part))
            for part in ("data", "indices", "indptr")
        )
