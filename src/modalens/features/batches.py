"""Paired batches from data of any size, in a shuffled order that a step number alone determines."""

from collections.abc import Iterator, Sequence

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
    others
        Matrices of further modalities, aligned with these.
    batch_size
        Pairs in a batch, over all processes together; all of the pairs if there are fewer.
    seed
        Seed of the order.
    rank, world_size
        Number of this process, and of processes: each gets its slice of the batches that one would get.

    Raises
    ------
    ModalensError
        If the matrices do not pair up, or a batch cannot be shared out evenly.
    """

    def __init__(
        self,
        image: Matrix,
        text: Matrix,
        batch_size: int,
        seed: int,
        *,
        others: Sequence[Matrix] = (),
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise ModalensError(f"batch_size is {batch_size}; it must be at least 1.")
        self._sides = {"image": image, "text": text}
        self._sides |= {f"modality {number}": other for number, other in enumerate(others, 3)}
        for name, side in list(self._sides.items())[1:]:
            self.n, self.d = paired_shape(image, side, ("image", name))
        self.batch_size = min(batch_size, self.n)
        if self.batch_size % world_size:
            raise ModalensError(
                f"A batch of {self.batch_size} pairs cannot be shared out evenly over {world_size} processes; "
                f"take a batch_size of {max(self.batch_size // world_size, 1) * world_size}."
            )
        self._seed = seed
        self._share = self.batch_size // world_size
        self._offset = rank * self._share
        buffer = max(_BLOCK_ROWS * _BUFFER_BLOCKS, self.batch_size)
        self._blocks_per_buffer = -(-buffer // _BLOCK_ROWS)
        self._blocks = -(-self.n // _BLOCK_ROWS)

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Image, text, and others if there are."""
        return tuple(self._sides.values())

    def from_step(self, step: int) -> Iterator[tuple[Tensor, ...]]:
        """Batches (image, text, and others if there are) in float32, from the one of this step on, for ever.

        Raises
        ------
        ModalensError
            If a value is NaN or infinite.
        """
        epoch, passed = 0, 0
        while True:
            for number, blocks in enumerate(self._buffers(epoch)):
                batches = int(self._rows(blocks).sum()) // self.batch_size
                if passed + batches > step:
                    yield from self._batches(blocks, (self._seed, epoch, number, 1), max(0, step - passed))
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

    def _rows(self, blocks: np.ndarray) -> np.ndarray:
        """Rows in each block; the last of the data may be short."""
        rows: np.ndarray = np.minimum(_BLOCK_ROWS, self.n - blocks * _BLOCK_ROWS)
        return rows

    def _batches(self, blocks: np.ndarray, seed: tuple[int, ...], first: int) -> Iterator[tuple[Tensor, ...]]:
        rows = self._rows(blocks)
        order = np.random.default_rng(seed).permutation(rows.sum())
        sides = [self._read(matrix, blocks, rows, order, name) for name, matrix in self._sides.items()]
        for batch in range(first, len(order) // self.batch_size):
            start = batch * self.batch_size + self._offset
            yield tuple(side[start : start + self._share] for side in sides)

    def _read(
        self, matrix: Matrix, blocks: np.ndarray, rows: np.ndarray, order: np.ndarray, name: str
    ) -> Tensor:
        """Rows of the blocks in shuffled order; each is read in one piece and scattered to its places."""
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        shuffled = np.empty((len(order), self.d), dtype=np.float32)
        ends = rows.cumsum()
        for block, count, end in zip(blocks.tolist(), rows.tolist(), ends.tolist(), strict=True):
            start = block * _BLOCK_ROWS
            read = read_rows(matrix, start, start + count, name)
            shuffled[places[end - count : end]] = read.toarray() if sp.issparse(read) else read
        return torch.from_numpy(shuffled)
