"""The passes over dense blocks of pairs by PyTorch, on a GPU: those of ``kernels``, but for rounding.

Rows go over in parts: while one is summed in double precision the next is copied. Each cell is summed in the order of
rows, so that a pass gives the same bits each time.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from modalens.arrays import Block

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 8192


def add_ratio(
    image: Block,
    text: Block,
    cells: Int[np.ndarray, " n"],
    device: str,
    share: Float[np.ndarray, "c d"],
    count: Int[np.ndarray, "c d"],
) -> Int[np.ndarray, " d"]:
    """As :func:`modalens.dominance.kernels.add_ratio`, on a device of PyTorch."""
    import torch

    of_share, missing = _zeros(share.shape, device), _zeros(share.shape, device)
    for part in _parts(image, text, cells, device, len(share)):
        a, b = part.image.abs(), part.text.abs()
        whole = a + b
        of_share += part.by_cell(torch.where(whole != 0, a / whole, 0.0) + (whole - whole))
        missing += part.by_cell((whole == 0).double())
    share += of_share.cpu().numpy()
    without = missing.cpu().numpy().astype(count.dtype)
    count -= without
    found: np.ndarray = len(cells) - without.sum(axis=0, dtype=np.int64)
    return found


def add_energy(
    image: Block,
    text: Block,
    cells: Int[np.ndarray, " n"],
    device: str,
    share: Float[np.ndarray, "c d"],
    count: Float[np.ndarray, "c d"],
) -> Int[np.ndarray, " d"]:
    """As :func:`modalens.dominance.kernels.add_energy`, on a device of PyTorch."""
    import torch

    of_share, of_count = _zeros(share.shape, device), _zeros(share.shape, device)
    pairs = torch.zeros(share.shape[1], dtype=torch.int64, device=device)
    for part in _parts(image, text, cells, device, len(share)):
        a, b = part.image.square(), part.text.square()
        of_share += part.by_cell(a + (b - b))
        of_count += part.by_cell(a + b)
        pairs += (a + b != 0).sum(dim=0)
    share += of_share.cpu().numpy()
    count += of_count.cpu().numpy()
    found: np.ndarray = pairs.cpu().numpy()
    return found


def add_directions(
    image: Block,
    text: Block,
    cells: Int[np.ndarray, " n"],
    device: str,
    of_image: Float[np.ndarray, "c d"],
    of_text: Float[np.ndarray, "c d"],
    of_pairs: Float[np.ndarray, "c 3"],
) -> int | None:
    """As :func:`modalens.dominance.kernels.add_directions`, on a device of PyTorch."""
    import torch

    images, texts = _zeros(of_image.shape, device), _zeros(of_image.shape, device)
    pairs = _zeros(of_pairs.shape, device)
    none = 2 * len(cells)
    without = torch.full((), none, dtype=torch.int64, device=device)
    for part in _parts(image, text, cells, device, len(of_image)):
        norms = [side.square().sum(dim=1).sqrt() for side in (part.image, part.text)]
        rows = 2 * torch.arange(part.start, part.start + len(norms[0]), device=device)
        for place, norm in enumerate(norms):
            without = torch.minimum(without, torch.where(norm == 0, rows + place, none).min())
        a, b = (side / norm[:, None] for side, norm in zip((part.image, part.text), norms, strict=True))
        squares = (a - b).square().sum(dim=1)
        images += part.by_cell(a)
        texts += part.by_cell(b)
        pairs += part.by_cell(torch.stack([torch.ones_like(squares), squares.sqrt(), squares], dim=1))
    for sums, found in ((of_image, images), (of_text, texts), (of_pairs, pairs)):
        sums += found.cpu().numpy()
    first = int(without)
    return None if first == none else first


class _Part:
    """Some rows of both sides in double precision, and how to sum what belongs to rows by cell."""

    def __init__(self, start: int, image: "Tensor", text: "Tensor", cells: "Tensor", n_cells: int) -> None:
        import torch

        self.start, self.image, self.text = start, image.double(), text.double()
        self._order = torch.argsort(cells, stable=True)
        self._lengths = torch.bincount(cells, minlength=n_cells)

    def by_cell(self, rows: "Tensor") -> "Tensor":
        import torch

        found: Tensor = torch.segment_reduce(rows[self._order], "sum", lengths=self._lengths, axis=0)
        return found


def _parts(
    image: Block, text: Block, cells: Int[np.ndarray, " n"], device: str, n_cells: int
) -> Iterator[_Part]:
    for start in range(0, len(cells), _ROWS):
        here = slice(start, start + _ROWS)
        a, b, of_row = (_moved(each[here], device) for each in (image, text, cells))
        yield _Part(start, a, b, of_row, n_cells)


def _moved(rows: np.ndarray, device: str) -> "Tensor":
    """Rows on the device; the copy goes on while the program does."""
    import torch

    found = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
    return found if device == "cpu" else found.pin_memory().to(device, non_blocking=True)


def _zeros(shape: tuple[int, ...], device: str) -> "Tensor":
    import torch

    return torch.zeros(shape, dtype=torch.float64, device=device)
