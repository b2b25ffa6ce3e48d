"""Random embeddings, codes and photos of any size."""

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float32
from PIL import Image

from modalens.store import EmbeddingStore

_ROWS_PER_SHARD = 65_536


def embeddings(pairs: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Paired normal embeddings in single precision."""
    generator = np.random.default_rng(seed)
    image, text = (generator.standard_normal((pairs, width), dtype=np.float32) for _ in range(2))
    return image, text


def unit_rows(x: np.ndarray) -> Float32[np.ndarray, "n d"]:
    """The same directions, with length 1, in single precision."""
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=np.float32)


def sparse_codes(n: int, features: int, k: int, seed: int = 0) -> sp.csr_array:
    """Random codes with ``k`` non-zeros a row; features differ in how often they fire."""
    generator = np.random.default_rng(seed)
    columns = (features * generator.random((n, k)) ** 2).astype(np.int64)
    return _csr(generator, columns, features)


def one_sided_codes(pairs: int, features: int, k: int, seed: int = 0) -> tuple[sp.csr_array, sp.csr_array]:
    """Codes as autoencoders give them: an image fires mostly one half of the features, a text the other."""
    generator = np.random.default_rng(seed)
    half, sides = features // 2, []
    for side in (0, 1):
        own = generator.random((pairs, k)) < 0.9
        columns = (half * generator.random((pairs, k)) ** 2).astype(np.int64)
        sides.append(_csr(generator, columns + np.where(own, side, 1 - side) * half, features))
    return sides[0], sides[1]


def _csr(generator: np.random.Generator, columns: np.ndarray, features: int) -> sp.csr_array:
    """Exponential values in the columns of each row."""
    n, k = columns.shape
    values = generator.exponential(size=columns.size).astype(np.float32)
    columns = np.sort(columns, axis=1).astype(np.int32).ravel()
    codes = sp.csr_array((values, columns, np.arange(0, n * k + 1, k)), shape=(n, features))
    codes.sum_duplicates()
    return codes


def write_store(folder: Path, pairs: int, width: int) -> EmbeddingStore:
    """Random embeddings in half precision, in clip-retrieval's layout."""
    names = ("img_emb", "text_emb")
    for name in (*names, "metadata"):
        (folder / name).mkdir(parents=True)
    for index, start in enumerate(range(0, pairs, _ROWS_PER_SHARD)):
        rows = min(_ROWS_PER_SHARD, pairs - start)
        for name, side in zip(names, embeddings(rows, width, seed=index), strict=True):
            np.save(folder / name / f"{name}_{index:04d}.npy", side.astype(np.float16))
        ids = pd.DataFrame({"id": [f"pair{row}" for row in range(start, start + rows)]})
        ids.to_parquet(folder / f"metadata/metadata_{index:04d}.parquet")
    return EmbeddingStore.open(folder)


def write_photos(folder: Path, count: int) -> None:
    """Photos of random blocks of colour, with captions."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        blocks = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((640, 480)).save(folder / f"{number:05d}.jpg")
        (folder / f"{number:05d}.txt").write_text(f"a photo of blocks, number {number}")
