"""Edits against plain loops: the chosen features change as the equations say, all others keep their bits."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from modalens.edit import blend, distance, zero
from modalens.errors import ModalensError
from modalens.store.columns import ShardedColumn

KINDS = ["numpy", "torch", "csr", "csr_matrix"]
CHOSEN = [4, 1, 6]


def of_kind(x: np.ndarray, kind: str):
    return {"numpy": np.copy, "torch": torch.tensor, "csr": sp.csr_array, "csr_matrix": sp.csr_matrix}[kind](
        x
    )


def dense(x) -> np.ndarray:
    return x.toarray() if sp.issparse(x) else np.asarray(x)


@pytest.fixture
def codes(rng: np.random.Generator) -> np.ndarray:
    return (rng.normal(size=(9, 8)) * (rng.random((9, 8)) < 0.5)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_empties_the_chosen_features_only(codes, kind):
    x = of_kind(codes, kind)
    edited = zero(x, CHOSEN)
    expected = codes.copy()
    for row in range(9):
        for feature in CHOSEN:
            expected[row, feature] = 0
    assert type(edited) is type(x)
    assert edited.dtype == x.dtype
    np.testing.assert_array_equal(dense(edited), expected)
    np.testing.assert_array_equal(dense(x), codes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", ["one", "each"])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_blend_is_its_equation(codes, rng, kind, width, strength):
    reference = rng.normal(size=(9, 8) if width == "each" else 8).astype(np.float32)
    x = of_kind(codes, kind)
    given_reference = torch.tensor(reference) if kind == "torch" else reference
    if kind.startswith("csr") and width == "each":
        given_reference = sp.csr_matrix(reference)
    edited = blend(x, given_reference, CHOSEN, strength)
    expected = codes.astype(np.float64)
    for row in range(9):
        for feature in CHOSEN:
            r = reference[row, feature] if width == "each" else reference[feature]
            expected[row, feature] = (1 - strength) * codes[row, feature] + strength * r
    assert type(edited) is type(x)
    assert edited.dtype == x.dtype
    np.testing.assert_allclose(dense(edited), expected, rtol=1e-5, atol=1e-7)
    others = np.setdiff1d(np.arange(8), CHOSEN)
    np.testing.assert_array_equal(dense(edited)[:, others], codes[:, others])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("squared", [False, True])
def test_distance_is_its_equation(codes, rng, kind, squared):
    reference = rng.normal(size=8).astype(np.float32)
    found = distance(
        of_kind(codes, kind),
        torch.tensor(reference) if kind == "torch" else reference,
        CHOSEN,
        squared=squared,
    )
    expected = [sum((float(row[i]) - float(reference[i])) ** 2 for i in CHOSEN) for row in codes]
    np.testing.assert_allclose(found, expected if squared else np.sqrt(expected), rtol=1e-5)


@given(st.binary(min_size=32, max_size=32), st.sampled_from(KINDS))
def test_nothing_chosen_or_strength_0_gives_the_same_bits_back(bits, kind):
    """Negative zeros, NaN, infinities and subnormals too."""
    values = np.frombuffer(bits, dtype=np.float32).reshape(2, 4).copy()
    x = of_kind(values, kind)
    before = x.data.tobytes() if sp.issparse(x) else dense(x).tobytes()
    reference = torch.full((4,), torch.inf) if kind == "torch" else np.full(4, np.inf, dtype=np.float32)
    for edited in (zero(x, []), blend(x, reference, [0, 2], 0.0), blend(x, reference, [], 1.0)):
        assert edited is not x
        assert (edited.data.tobytes() if sp.issparse(x) else dense(edited).tobytes()) == before


def test_every_token_is_edited(rng):
    tokens = rng.normal(size=(2, 5, 8))
    edited = blend(tokens, np.ones(8), [3], 0.5)
    np.testing.assert_allclose(edited[:, :, 3], 0.5 * tokens[:, :, 3] + 0.5)
    assert distance(tokens, tokens[:, :1], [3]).shape == (2, 5)


def test_gradients_reach_the_chosen_features_only(rng):
    x = torch.tensor(rng.normal(size=(3, 8)), requires_grad=True)
    reference = torch.tensor(rng.normal(size=8))
    distance(x, reference, CHOSEN, squared=True).sum().backward()
    expected = np.zeros((3, 8))
    expected[:, CHOSEN] = 2 * (x.detach() - reference).numpy()[:, CHOSEN]
    np.testing.assert_allclose(x.grad, expected)
    x.grad = None
    distance(x, x.detach().clone(), CHOSEN).sum().backward()
    assert torch.isfinite(x.grad).all()
    x.grad = None
    (blend(x, reference, CHOSEN, 0.25).sum() + zero(x, CHOSEN).sum()).backward()
    expected = np.full((3, 8), 2.0)
    expected[:, CHOSEN] = 0.75
    np.testing.assert_allclose(x.grad, expected)


def test_a_lazy_column_is_read(tmp_path, codes):
    np.save(tmp_path / "a.npy", codes)
    column = ShardedColumn([tmp_path / "a.npy"])
    np.testing.assert_array_equal(zero(column, CHOSEN), zero(codes, CHOSEN))
    np.testing.assert_array_equal(blend(column, codes[0], CHOSEN, 0.5), blend(codes, codes[0], CHOSEN, 0.5))


def test_whole_numbers_are_not_rounded():
    for kind in ("numpy", "csr"):
        edited = blend(of_kind(np.array([[1, 3]]), kind), np.array([2.0, 0.0]), [0, 1], 0.5)
        np.testing.assert_array_equal(dense(edited), [[1.5, 1.5]])


def test_a_sparse_edit_stays_sparse():
    """A matrix that would need 80 GB if it were dense."""
    x = sp.csr_array(([1.0, 2.0], ([0, 99_999], [0, 7])), shape=(100_000, 100_000))
    assert zero(x, [7]).nnz == 1
    reference = sp.csr_array(([4.0], ([0], [3])), shape=(1, 100_000))
    edited = blend(x, reference, [3, 7], 0.5)
    assert edited.nnz == 100_002
    assert edited[99_999, 7] == 1.0
    assert distance(x, reference, [3, 7])[99_999] == pytest.approx(np.sqrt(4 + 16))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda x: zero(x, [8]), r"There is no feature 8: 8 features are numbered from 0 to 7\."),
        (lambda x: zero(x, [-1]), "There is no feature -1"),
        (lambda x: zero(x, np.ones(8, dtype=bool)), "whole numbers, not bool"),
        (lambda x: zero(x, [[1]]), r"not int64 of shape \(1, 1\)"),
        (lambda x: blend(x, x, [8], 0.5), "There is no feature 8"),
        (lambda x: blend(x, x, [8], 0.0), "There is no feature 8"),
        (lambda x: blend(x, x, [1], 1.5), "between 0 and 1, not 1.5"),
        (lambda x: blend(x, x, [1], float("nan")), "between 0 and 1, not nan"),
        (lambda x: blend(x, x[:, :5], [1], 0.5), r"shape \(9, 5\) does not fit features of shape \(9, 8\)"),
        (lambda x: blend(x, x[:, :1], [1], 0.5), "does not fit"),
        (lambda x: blend(x, x[:4], [1], 0.5), "does not fit"),
        (lambda x: blend(x, torch.ones(8), [1], 0.5), "ndarray need a reference of that type, not Tensor"),
        (lambda x: blend(x, sp.csr_array(x), [1], 0.5), "not csr_array"),
        (lambda x: distance(x, x, [9]), "There is no feature 9"),
    ],
)
def test_bad_input_gets_one_sentence(codes, act, message):
    with pytest.raises(ModalensError, match=message):
        act(codes)
