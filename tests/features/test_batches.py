from itertools import islice

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modalens.errors import ModalensError
from modalens.features import batches as module
from modalens.features.batches import PairBatches


@pytest.fixture
def small_buffers(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_ROWS", 16)
    monkeypatch.setattr(module, "_BUFFER_BLOCKS", 4)


def numbered(n):
    """Rows that say their own number."""
    return np.arange(n, dtype=np.float64)[:, None] * [1, 2]


def test_batches_hold_pairs_and_cover_every_row():
    image = numbered(5000)
    stream = PairBatches(image, -image, 300, seed=1).from_step(0)
    seen = []
    for one, other in islice(stream, 5000 // 300):
        assert one.dtype == torch.float32
        assert torch.equal(one, -other)
        seen += one[:, 0].tolist()
    assert len(set(seen)) == len(seen) == 4800
    assert seen != sorted(seen)
    assert set(next(stream)[0][:, 0].tolist()) & set(seen)
    everything = PairBatches(image, image, 10_000, seed=0)
    assert sorted(next(everything.from_step(0))[0][:, 0].tolist()) == image[:, 0].tolist()


@settings(max_examples=40)
@given(n=st.integers(1, 300), batch_size=st.integers(1, 100), seed=st.integers(0, 5))
def test_every_row_comes_and_none_twice_a_round(n, batch_size, seed):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_BLOCK_ROWS", 16)
        patched.setattr(module, "_BUFFER_BLOCKS", 4)
        batches = PairBatches(numbered(n), numbered(n), batch_size, seed)
        size = batches.batch_size
        assert size == min(n, batch_size)
        rounds = islice(batches.from_step(0), 30 * n // size + 1)
        seen = [image[:, 0].tolist() for image, _ in rounds]
        assert all(len(set(batch)) == size for batch in seen)
        assert {row for batch in seen for row in batch} == set(range(n))


def test_batches_go_on_from_any_step(small_buffers):
    batches = PairBatches(numbered(500), numbered(500), 10, seed=3)
    first = [image for image, _ in islice(batches.from_step(0), 130)]
    for step in (0, 1, 5, 6, 47, 48, 99, 129):
        assert torch.equal(next(batches.from_step(step))[0], first[step])
    other = next(PairBatches(numbered(500), numbered(500), 10, seed=4).from_step(0))[0]
    assert not torch.equal(other, first[0])


def test_a_batch_mixes_rows_from_all_over_the_data(small_buffers):
    image, _ = next(PairBatches(numbered(6400), numbered(6400), 32, seed=0).from_step(0))
    blocks = image[:, 0] // 16
    assert len(blocks.unique()) >= 4
    assert blocks.max() - blocks.min() > 100


def test_memory_holds_one_buffer(small_buffers):
    reads = []

    class Watched:
        shape = (6400, 2)

        def __getitem__(self, rows):
            reads.append(rows)
            return numbered(6400)[rows]

    stream = PairBatches(Watched(), numbered(6400), 10, seed=0).from_step(0)
    next(stream)
    assert [rows.stop - rows.start for rows in reads] == [16] * 4


def test_sparse_and_torch_matrices_are_batched_too():
    dense = numbered(40)
    expected = next(PairBatches(dense, dense, 8, seed=0).from_step(0))[0]
    for kind in (sp.csr_array, torch.from_numpy, lambda x: x.astype(np.float16)):
        assert torch.equal(next(PairBatches(kind(dense), kind(dense), 8, seed=0).from_step(0))[1], expected)


def test_bad_input():
    bad = numbered(40)
    bad[7, 1] = np.nan
    with pytest.raises(ModalensError, match="text matrix has a NaN or infinite value in row 7"):
        next(PairBatches(numbered(40), bad, 8, seed=0).from_step(0))
    with pytest.raises(ModalensError, match="batch_size is 0"):
        PairBatches(bad, bad, 0, seed=0)
    with pytest.raises(ModalensError, match="40 rows and the text matrix 39"):
        PairBatches(bad, bad[:-1], 8, seed=0)
