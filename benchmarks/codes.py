"""Time, memory and disk of sparse codes, from encoding to dominance scores, however many features there are.

Run ``python benchmarks/codes.py``. The encoder draws codes at random, so that only what surrounds it is measured.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp

from modalens.dominance import modality_dominance
from modalens.engine import encode_store
from modalens.store import EmbeddingStore

Result = TypeVar("Result")
_D = 8
_ROWS_PER_SHARD = 65_536


@dataclass
class RandomCodes:
    """An encoder as :func:`modalens.engine.encode_store` takes it; features differ in how often they fire."""

    n_features: int
    k: int

    @property
    def config(self) -> "RandomCodes":
        return self

    def card(self) -> dict[str, Any]:
        return {"class": "random codes"}

    def encode(self, x: np.ndarray, modality: str | None = None) -> sp.csr_array:
        generator = np.random.default_rng([modality == "text", *x[0].view(np.uint32)])
        features = (self.n_features * generator.random((len(x), self.k)) ** 2).astype(np.int32)
        values = generator.exponential(size=features.size).astype(np.float32)
        offsets = np.arange(0, features.size + 1, self.k)
        codes = sp.csr_array((values, features.ravel(), offsets), shape=(len(x), self.n_features))
        codes.sum_duplicates()
        return codes


def write_embeddings(folder: Path, pairs: int) -> EmbeddingStore:
    generator = np.random.default_rng(0)
    for name in ("img_emb", "text_emb"):
        (folder / name).mkdir(parents=True)
        for index, start in enumerate(range(0, pairs, _ROWS_PER_SHARD)):
            rows = generator.random((min(_ROWS_PER_SHARD, pairs - start), _D), dtype=np.float32)
            np.save(folder / name / f"{name}_{index:04d}.npy", rows)
    return EmbeddingStore.open(folder)


def measured(name: str, work: Callable[[], Result]) -> Result:
    started = time.perf_counter()
    result = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {name:<44} {time.perf_counter() - started:8.1f} s   peak so far {peak:5.2f} GiB", flush=True)
    return result


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=100_000)
    options.add_argument("--n-features", type=int, default=65_536)
    options.add_argument("--k", type=int, default=32)
    options.add_argument("--resamples", type=int, default=200)
    given = options.parse_args()
    print(f"{given.pairs:,} pairs, {given.n_features:,} features, {given.k} active")
    with tempfile.TemporaryDirectory() as folder:
        store = measured("a store to encode", lambda: write_embeddings(Path(folder) / "store", given.pairs))
        model = RandomCodes(given.n_features, given.k)
        codes = measured("encode_store", lambda: encode_store(model, store, Path(folder) / "codes"))
        size = sum(path.stat().st_size for path in (Path(folder) / "codes").rglob("*") if path.is_file())
        dense = 2 * given.pairs * given.n_features * 4
        print(f"  on disk {size / 2**30:.2f} GiB; dense, both sides would be {dense / 2**30:,.0f} GiB")
        for resamples in (0, given.resamples):
            scores = measured(
                f"modality_dominance, {resamples} resamples",
                lambda resamples=resamples: modality_dominance(codes.image, codes.text, resamples=resamples),
            )
        print(f"  classes {scores.counts()}")


if __name__ == "__main__":
    main()
