"""Paired batches from data of any size, in a shuffled order that a step number alone determines."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from modalens.arrays import Matrix, paired_shape, read_rows
from modalens.errors import ModalensError

_BLOCK_ROWS = 1024
_BUFFER_BLOCKS = 64


class PairBatches:
    """Endless batches of pairs in a seeded block shuffle.

    Each epoch shuffles blocks of neighbouring rows, reads a buffer of blocks at a time and shuffles its rows:
    disks read in order, memory holds one buffer, and a batch mixes rows from all over the data. What does
    not fill a batch at the end of a buffer is left out, another few rows each epoch.

    Parameters
    ----------
    image, text
        Paired matrices of shape (n, d).
    batch_size
        Pairs in a batch; all of them if there are fewer.
    seed
        Seed of the order.
    """

    def __init__(self, image: Matrix, text: Matrix, batch_size: int, seed: int) -> None:
        if batch_size < 1:
            raise ModalensError(f"batch_size is {batch_size}; it must be at least 1.")
        self.n, self.d = paired_shape(image, text)
        self._image, self._text = image, text
        self.batch_size = min(batch_size, self.n)
        self._seed = seed
        buffer = max(_BLOCK_ROWS * _BUFFER_BLOCKS, self.batch_size)
        self._blocks_per_buffer = -(-buffer // _BLOCK_ROWS)
        self._blocks = -(-self.n // _BLOCK_ROWS)

    def from_step(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches (image, text) in float32, from the one of this step on, for ever."""
        epoch, passed = 0, 0
        while True:
            for number, blocks in enumerate(self._buffers(epoch)):
                rows = sum(min(_BLOCK_ROWS, self.n - block * _BLOCK_ROWS) for block in blocks)
                batches = rows // self.batch_size
                if passed + batches > step:
                    image, text = self._read(blocks, (self._seed, epoch, number))
                    for batch in range(max(0, step - passed), batches):
                        there = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
                        yield image[there], text[there]
                passed += batches
            epoch += 1

    def _buffers(self, epoch: int) -> list[np.ndarray]:
        order = np.random.default_rng((self._seed, epoch)).permutation(self._blocks)
        starts = range(0, self._blocks, self._blocks_per_buffer)
        buffers = [order[start : start + self._blocks_per_buffer] for start in starts]
        # A last buffer too small for one batch would never be seen.
        if len(buffers) > 1 and len(buffers[-1]) * _BLOCK_ROWS < 2 * self.batch_size:
            buffers[-2:] = [np.concatenate(buffers[-2:])]
        return buffers

    def _read(self, blocks: np.ndarray, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        sides = []
        for matrix, name in ((self._image, "image"), (self._text, "text")):
            parts = []
            for block in blocks.tolist():
                start = block * _BLOCK_ROWS
                rows = read_rows(matrix, start, min(start + _BLOCK_ROWS, self.n), name)
                parts.append((rows.toarray() if sp.issparse(rows) else rows).astype(np.float32))
            sides.append(np.concatenate(parts))
        order = np.random.default_rng((*seed, 1)).permutation(len(sides[0]))
        return torch.from_numpy(sides[0][order]), torch.from_numpy(sides[1][order])
