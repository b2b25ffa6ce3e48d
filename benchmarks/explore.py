"""The explorer on a large synthetic run: how long its first page and any feature take, and its memory.

Run ``python benchmarks/explore.py --out FOLDER``; the run is made once in FOLDER/run, with random embeddings and random
sparse codes in the place of an autoencoder's, and the numbers go to FOLDER/explore.json.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import scipy.sparse as sp

from modalens.benchmarks.cases.data import write_store
from modalens.features import SAEConfig, TrainConfig
from modalens.features.quality import measure_quality
from modalens.runs import ScoreConfig, encode_store, learning
from modalens.runs.layout import RunFolder
from modalens.runs.learning import measure_learned, train_on
from modalens.runs.scoring import score_into

_ASKED = 200
# What the page asks for before the table of features shows.
_FIRST_PAGE = (
    "/",
    "/style.css",
    "/palette.css",
    "/main.js",
    "/api/runs",
    "/api/run",
    "/api/run/sae/features",
)


class _RandomCodes:
    """In the place of an autoencoder: features of one side fire mostly there, some often and most rarely."""

    def __init__(self, model: Any) -> None:
        self._model, self.config = model, model.config

    def card(self) -> dict[str, Any]:
        return dict(self._model.card())

    def encode(self, x: np.ndarray, modality: str | None = None) -> sp.csr_array:
        generator = np.random.default_rng([modality == "text", *np.asarray(x[0], np.float32).view(np.uint32)])
        half, k = self.config.n_features // 2, self.config.k
        side = (generator.random((len(x), k)) < 0.9) == (modality == "text")
        columns = (half * generator.random((len(x), k)) ** 2).astype(np.int32) + half * side
        values = generator.exponential(size=columns.size).astype(np.float32)
        codes = sp.csr_array(
            (values, columns.ravel().astype(np.int32), np.arange(0, columns.size + 1, k)),
            shape=(len(x), self.config.n_features),
        )
        codes.sum_duplicates()
        return codes


def make_run(folder: Path, pairs: int, features: int, width: int, k: int) -> None:
    """A run whose embeddings and codes are random, scored; its quality is measured on a few pairs."""
    run = RunFolder(folder)
    if not folder.is_dir():
        write_store(folder.with_name("partial"), pairs, width)
        for path in sorted(folder.with_name("partial").glob("metadata/*.parquet")):
            frame = pd.read_parquet(path)
            rows = enumerate(frame["id"])
            frame["caption"] = [f"a caption of number {name} in {row % 997} words" for row, name in rows]
            frame.to_parquet(path)
        folder.mkdir(parents=True)
        folder.with_name("partial").rename(run.embeddings)
    store = run.store()
    scoring = ScoreConfig(resamples=20)
    score_into(run.scores, store, scoring)
    where = run.learned("sae")
    config = SAEConfig(store.image.shape[1], n_features=features, k=k)
    train_on(config, store, TrainConfig(steps=1, batch_size=64), where.folder)
    learning.encode_store = lambda model, *rest, **more: encode_store(_RandomCodes(model), *rest, **more)
    learning.measure_quality = lambda model, *sides, **_: measure_quality(
        model, *(np.asarray(side[0:500]) for side in sides)
    )
    measure_learned(where, store, scoring)


@contextmanager
def explorer(folder: Path) -> Iterator[tuple[int, int, float]]:
    """An explorer on the run: its port, its process, and the seconds until it was ready."""
    command = [
        sys.executable,
        "-m",
        "modalens",
        "explore",
        str(folder),
        "--port",
        "0",
        "--no-browser",
        "--json",
    ]
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            yield int(address.split(":")[2].split("/")[0]), process.pid, time.monotonic() - start
        finally:
            process.terminate()


def asked(port: int, path: str) -> float:
    """Seconds that one answer takes."""
    connection = HTTPConnection("127.0.0.1", port, timeout=600)
    start = time.monotonic()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, path
    return time.monotonic() - start


def measure(folder: Path, features: int) -> dict[str, float]:
    """Seconds and GiB of an explorer whose index is made, and of the start that makes it."""
    found: dict[str, float] = {}
    with explorer(folder) as (_, pid, seconds):
        found |= {"index_seconds": seconds, "index_peak_gib": _peak(pid)}
    with explorer(folder) as (port, pid, seconds):
        process = psutil.Process(pid)
        before = sum(process.cpu_times()[:2])
        found["start_seconds"] = seconds
        found["first_page_seconds"] = sum(asked(port, path) for path in _FIRST_PAGE)
        found["first_page_cpu_seconds"] = sum(process.cpu_times()[:2]) - before
        chosen = np.random.default_rng(0).choice(features, _ASKED, replace=False).tolist()
        before = sum(process.cpu_times()[:2])
        times = [asked(port, f"/api/run/sae/features/{feature}") for feature in chosen]
        found |= {
            "feature_seconds": float(np.median(times)),
            "feature_seconds_99": float(np.quantile(times, 0.99)),
            "feature_cpu_seconds": (sum(process.cpu_times()[:2]) - before) / _ASKED,
        }
        for name, path in (
            ("search_seconds", "features?words=17&sort=score&descending=1"),
            ("pair_seconds", "pairs/77"),
        ):
            found[name] = asked(port, f"/api/run/sae/{path}")
        found["memory_gib"] = process.memory_full_info().uss / 2**30
    return found


def _peak(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.split("VmHWM:")[1].split()[0]) / 2**20


def main() -> None:
    """Make the run if it is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    for name, default in (("pairs", 1_000_000), ("features", 65_536), ("width", 64), ("k", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    folder = given.out / "run"
    sizes = {"pairs": given.pairs, "features": given.features, "width": given.width, "k": given.k}
    make_run(folder, **sizes)
    found = {**sizes, **measure(folder, given.features)}
    (given.out / "explore.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
