"""Time, memory and disk as the pairs grow, and as the features grow, each step in a process of its own.

Run ``python benchmarks/scale.py pairs --out FOLDER`` and the same with ``features``; the numbers go to
FOLDER/pairs.json and FOLDER/features.json, and once both are there the curves to FOLDER/scale.png.
The embeddings are random, in half precision as people keep them.
Memory is what a process holds for itself, without the pages of files that the system keeps for it.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from modalens.benchmarks.cases.data import write_store
from modalens.benchmarks.measure import measured
from modalens.features import SAEConfig, TopKSAE, TrainConfig, train
from modalens.runs import ScoreConfig, encode_store, score_store
from modalens.store import CodeStore, EmbeddingStore

_STEPS = 100


@dataclass
class RandomCodes:
    """An encoder as :func:`modalens.runs.encode_store` takes it; features differ in how often they fire."""

    n_features: int
    k: int = 32

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


def score_pairs(folder: Path) -> None:
    score_store(EmbeddingStore.open(folder / "store"), ScoreConfig(resamples=200))


def train_sae(folder: Path) -> None:
    store = EmbeddingStore.open(folder / "store")
    config = TrainConfig(steps=_STEPS, batch_size=1024, checkpoint_every=_STEPS)
    train([SAEConfig(store.image.shape[1], n_features=1024, k=32)], store, config, out=folder / "sae")


def encode_pairs(folder: Path) -> None:
    encode_store(TopKSAE.load(folder / "sae"), EmbeddingStore.open(folder / "store"), folder / "codes")


def score_codes(folder: Path) -> None:
    score_store(CodeStore.open(folder / "codes"), ScoreConfig(resamples=200))


def many_features(folder: Path, n_features: int) -> None:
    encode_store(RandomCodes(n_features), EmbeddingStore.open(folder / "store"), folder / "codes")


_STEPS_OF_PAIRS: dict[str, Callable[[Path], None]] = {
    "score": score_pairs,
    "train": train_sae,
    "encode": encode_pairs,
    "score codes": score_codes,
}


def _in_a_process(step: str, folder: Path, *more: object) -> dict[str, float]:
    words = [sys.executable, __file__, step, "--out", str(folder), *map(str, more)]
    result = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**30


def _over_pairs(folder: Path, counts: Sequence[int], width: int) -> Iterator[dict[str, Any]]:
    for pairs in counts:
        shutil.rmtree(folder, ignore_errors=True)
        write_store(folder / "store", pairs, width)
        for step in _STEPS_OF_PAIRS:
            row = {"pairs": pairs, "width": width, "step": step, **_in_a_process(step, folder)}
            made = {"score": "store", "encode": "codes"}.get(step)
            yield row if made is None else {**row, "disk_gib": _size(folder / made)}


def _over_features(folder: Path, counts: Sequence[int], pairs: int) -> Iterator[dict[str, Any]]:
    shutil.rmtree(folder, ignore_errors=True)
    write_store(folder / "store", pairs, 8)
    for n_features in counts:
        shutil.rmtree(folder / "codes", ignore_errors=True)
        for step in ("write codes", "score codes"):
            found = _in_a_process(step, folder, "--n-features", n_features)
            row = {"n_features": n_features, "pairs": pairs, "step": step, **found}
            yield row if step == "score codes" else {**row, "disk_gib": _size(folder / "codes")}


def _draw(over_pairs: pd.DataFrame, over_features: pd.DataFrame, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for step, rows in over_pairs.groupby("step", sort=False):
        axes[0].loglog(rows["pairs"], rows["seconds"], "o-", label=step)
        axes[1].semilogx(rows["pairs"], rows["gib"], "o-", label=step)
    for step, rows in over_features.groupby("step", sort=False):
        axes[2].loglog(rows["n_features"], rows["seconds"], "o-", label=step)
    pairs = f"pairs of width {over_pairs['width'][0]:,}"
    axes[0].set(xlabel=pairs, ylabel="seconds")
    axes[1].set(xlabel=pairs, ylabel="memory at most (GiB)", ylim=(0, None))
    axes[2].set(xlabel=f"features, {over_features['pairs'][0]:,} pairs, 32 active", ylabel="seconds")
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    axes[2].legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("curve", choices=("pairs", "features", *_STEPS_OF_PAIRS, "write codes"))
    options.add_argument("--out", type=Path, required=True, help="folder for stores and results")
    options.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 3_000_000])
    options.add_argument("--width", type=int, default=1024)
    options.add_argument("--features", type=int, nargs="+", default=[1_024, 4_096, 16_384, 65_536])
    options.add_argument("--pairs-of-features", type=int, default=100_000)
    options.add_argument("--n-features", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.curve not in ("pairs", "features"):  # one step, in a process of its own
        work = _STEPS_OF_PAIRS.get(given.curve) or (lambda folder: many_features(folder, given.n_features))
        cost = measured(lambda: work(given.out))[1]
        print(json.dumps({"seconds": cost.seconds, "gib": cost.gib}))
        return
    folder = given.out / "work"
    over = (
        _over_pairs(folder, given.pairs, given.width)
        if given.curve == "pairs"
        else _over_features(folder, given.features, given.pairs_of_features)
    )
    rows: list[dict[str, Any]] = []
    for row in over:
        print(row, flush=True)
        rows.append(row)
        (given.out / f"{given.curve}.json").write_text(json.dumps(rows, indent=1))
    shutil.rmtree(folder)
    files = [given.out / f"{curve}.json" for curve in ("pairs", "features")]
    if all(path.exists() for path in files):
        _draw(*(pd.read_json(path) for path in files), given.out / "scale.png")


if __name__ == "__main__":
    main()
