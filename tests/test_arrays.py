import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from modalens.arrays import (
    iter_blocks,
    iter_paired_blocks,
    normalize_rows,
    paired_shape,
    read_rows,
    single_rows,
)
from modalens.errors import ModalensError


class LazyColumn:
    """Rows from a function, as a store's column gives them; counts what was read."""

    def __init__(self, values: np.ndarray) -> None:
        self.shape = values.shape
        self.read = 0
        self._values = values

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.read += len(self._values[rows])
        return self._values[rows]


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(10, 3)).astype(np.float16).astype(np.float64)


@pytest.mark.parametrize(
    "kind",
    [
        lambda x: x,
        lambda x: x.astype(np.float16),
        lambda x: np.asfortranarray(x),
        lambda x: torch.tensor(x, dtype=torch.float16),
        lambda x: torch.tensor(x, requires_grad=True),
        lambda x: pd.DataFrame(x),
        LazyColumn,
        sp.csr_matrix,
        sp.csr_array,
        sp.csc_array,
        sp.coo_array,
    ],
)
def test_every_kind_of_matrix_reads_the_same(kind, values):
    blocks = [(start, block) for start, block in iter_blocks(kind(values), 4)]
    assert [start for start, _ in blocks] == [0, 4, 8]
    dense = [block.toarray() if sp.issparse(block) else block for _, block in blocks]
    assert all(block.dtype == np.float64 for block in dense)
    np.testing.assert_array_equal(np.vstack(dense), values)
    single = [block for _, block in iter_blocks(kind(values), 4, read=single_rows)]
    assert all(block.dtype == np.float32 and not np.shares_memory(block, values) for block in single)
    np.testing.assert_array_equal(np.vstack(single), values.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_rows_in_single_precision_are_a_copy_and_finite(dtype):
    values = np.arange(12, dtype=dtype).reshape(4, 3)
    single_rows(values, 1, 3)[:] = 7
    np.testing.assert_array_equal(values.ravel(), range(12))
    if np.issubdtype(dtype, np.floating):
        values[2, 1] = np.inf
        with pytest.raises(ModalensError, match="The text matrix has a NaN or infinite value in row 2"):
            single_rows(values, 1, 4, "text")


def test_bfloat16_tensors_are_widened():
    tensor = torch.tensor([[1.5, -2.25]], dtype=torch.bfloat16)
    np.testing.assert_array_equal(read_rows(tensor, 0, 1), [[1.5, -2.25]])


def test_sparse_rows_come_in_canonical_form():
    twice = sp.csr_array((np.array([1.0, 2.0, 0.0]), np.array([2, 2, 0]), np.array([0, 3])), shape=(1, 3))
    block = read_rows(twice, 0, 1)
    assert block.indices.tolist() == [2]
    assert block.data.tolist() == [3.0]
    assert twice.nnz == 3, "the input is left as it was"


def test_each_row_is_read_once(values):
    column = LazyColumn(values)
    list(iter_paired_blocks(column, values, 3))
    assert column.read == 10


@pytest.mark.parametrize("kind", [np.array, torch.tensor, sp.csr_array])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_value_is_named_by_its_row(kind, bad, values):
    values[7, 1] = bad
    with pytest.raises(ModalensError, match="text matrix has a NaN or infinite value in row 7"):
        list(iter_paired_blocks(np.ones((10, 3)), kind(values), 4))


@pytest.mark.parametrize(
    ("image", "text", "sentence"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), "3 rows and the text matrix 4"),
        (np.ones((3, 2)), np.ones((3, 5)), "2 features and the text matrix 5"),
        (np.ones((0, 2)), np.ones((0, 2)), "empty: it has 0 samples and 2 features"),
        (np.ones((3, 0)), np.ones((3, 0)), "empty: it has 3 samples and 0 features"),
        (np.ones(3), np.ones(3), "two dimensions"),
        ([[1.0]], [[1.0]], "two dimensions"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(image, text, sentence):
    with pytest.raises(ModalensError, match=sentence):
        paired_shape(image, text)


@pytest.mark.parametrize("values", [np.array([["a"]]), np.ones((1, 1), complex), torch.ones(1, 1) * 1j])
def test_values_that_are_no_real_numbers_are_refused(values):
    with pytest.raises(ModalensError, match="must hold real numbers"):
        read_rows(values, 0, 1)


def test_a_block_without_rows_is_refused(values):
    with pytest.raises(ModalensError, match="at least 1 row"):
        list(iter_paired_blocks(values, values, 0))


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1.0, 1e200])
@pytest.mark.parametrize("kind", [np.array, sp.csr_array])
def test_rows_become_unit_at_any_scale(kind, scale):
    rows = np.array([[3.0, 0.0, -4.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    unit, peaks = normalize_rows(kind(rows * scale))
    unit = unit.toarray() if sp.issparse(unit) else unit
    np.testing.assert_allclose(unit, [[0.6, 0, -0.8], [0, 0, 0], [0, 1, 0]], rtol=1e-12)
    np.testing.assert_array_equal(peaks == 0, [False, True, False])


@pytest.mark.parametrize("kind", ["to_sparse_coo", "to_sparse_csr", "to_sparse_csc"])
def test_sparse_tensors_are_refused_in_a_sentence(values, kind):
    sparse = getattr(torch.tensor(values), kind)()
    with pytest.raises(ModalensError, match="image matrix is a sparse torch tensor"):
        paired_shape(sparse, sparse)


@pytest.mark.parametrize("column", [3, -1, 2**30])
def test_columns_that_are_not_there_never_reach_compiled_code(values, column):
    matrix = sp.csr_array(values)
    matrix.indices[4] = column
    with pytest.raises(ModalensError, match=r"names columns from .* and has 3"):
        read_rows(matrix, 0, 10)
