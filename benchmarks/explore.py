"""The explorer on a large synthetic run: how long its first page and any feature take, and its memory.

Run ``python benchmarks/explore.py --out FOLDER``; the run is made once in FOLDER/run, with random embeddings and random
sparse codes in the place of an autoencoder's, and the numbers go to FOLDER/explore.json.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import psutil
import scipy.sparse as sp

from modalens.benchmarks.cases.data import write_store
from modalens.explore import ExploreConfig, opened, serve
from modalens.features import SAEConfig, TrainConfig
from modalens.features.quality import measure_quality
from modalens.runs import ScoreConfig, encode_store, learning
from modalens.runs.layout import RunFolder
from modalens.runs.learning import measure_learned, train_on
from modalens.runs.scoring import score_into
from modalens.towers.base import VLM

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


class _RandomVLM(VLM):
    """In the place of the run's model: a sentence gets a random embedding, so that reading it costs nothing."""

    name = "random"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def embed_images(self, images: Sequence[Any]) -> np.ndarray:
        return np.random.default_rng(len(images)).standard_normal((len(images), self.dim)).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self.embed_images(texts)

    def card(self) -> dict[str, Any]:
        return {"model": self.name}


def serve_run(folder: Path) -> None:
    """Serve the run, with a model that costs nothing, and print the address."""
    opened.open_vlm = lambda store, _: _RandomVLM(store.image.shape[1])

    def told(address: str) -> None:
        print(json.dumps({"address": address}), flush=True)

    serve([folder], ExploreConfig(port=0, browser=False), ready=told)


class Page:
    """An explorer on the run: its process, what it answers, and how long that takes."""

    def __init__(self, process: subprocess.Popen[str], address: str, seconds: float) -> None:
        where = urlsplit(address)
        self.process, self.seconds = psutil.Process(process.pid), seconds
        self._port, self._token = where.port or 0, parse_qs(where.query)["token"][0]
        self.peak = 0.0
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def ask(self, path: str, values: Any = None) -> tuple[float, Any]:
        """Seconds of one answer, and what it says."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=1800)
        body = None if values is None else json.dumps(values)
        headers = {"x-modalens-token": self._token}
        start = time.monotonic()
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        seconds = time.monotonic() - start
        assert answer.status == 200, (path, data)
        return seconds, json.loads(data) if path.startswith("/api") else data

    def cpu(self) -> float:
        """Seconds of the processor so far."""
        return float(sum(self.process.cpu_times()[:2]))

    def end(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        """The most memory of its own that the process holds, without pages of files, which the system may drop."""
        status = Path(f"/proc/{self.process.pid}/status")
        while not self._ended.wait(0.02):
            text = status.read_text(encoding="utf-8") if status.exists() else ""
            if "RssAnon:" in text:
                self.peak = max(self.peak, int(text.split("RssAnon:")[1].split()[0]) / 2**20)


@contextmanager
def explorer(folder: Path) -> Iterator[Page]:
    """An explorer on the run, in a process of its own."""
    start = time.monotonic()
    command = [sys.executable, __file__, "--serve", "--out", str(folder.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            page = Page(process, address, time.monotonic() - start)
            yield page
            page.end()
        finally:
            process.terminate()


def measure(folder: Path, features: int) -> dict[str, float]:
    """Seconds and GiB of an explorer whose index is made, and of the start that makes it."""
    found: dict[str, float] = {}
    shutil.rmtree(folder / opened.FOLDER, ignore_errors=True)
    with explorer(folder) as page:
        found |= {"index_seconds": page.seconds, "index_peak_gib": _peak(page.process.pid)}
    with explorer(folder) as page:
        before = page.cpu()
        found["start_seconds"] = page.seconds
        found["first_page_seconds"] = sum(page.ask(path)[0] for path in _FIRST_PAGE)
        found["first_page_cpu_seconds"] = page.cpu() - before
        chosen = np.random.default_rng(0).choice(features, _ASKED, replace=False).tolist()
        before = page.cpu()
        times = [page.ask(f"/api/run/sae/features/{feature}")[0] for feature in chosen]
        found |= {
            "feature_seconds": float(np.median(times)),
            "feature_seconds_99": float(np.quantile(times, 0.99)),
            "feature_cpu_seconds": (page.cpu() - before) / _ASKED,
        }
        for name, path, values in _asked(page):
            before = page.cpu()
            found[f"{name}_seconds"] = page.ask(f"/api/run/sae/{path}", values)[0]
            found[f"{name}_cpu_seconds"] = page.cpu() - before
        found["memory_peak_gib"] = page.peak
        found["memory_gib"] = page.process.memory_full_info().uss / 2**30
    return found


def _asked(page: Page) -> Iterator[tuple[str, str, Any]]:
    """What else is asked for: its name, address and what is sent."""
    yield "search", "features?words=17&sort=score&descending=1", None
    yield "pair", "pairs/77", None
    for name in ("map_first", "map"):
        yield f"{name}_features", "map/features", None
        yield f"{name}_pairs", "map/pairs", None
    turned = {"features": [3], "label": None, "gain": 0, "side": "text", "row": 77}
    yield "steer", "steer", turned
    yield "steer_class", "steer", {**turned, "features": [], "label": "text"}
    yield "retrieval", "retrieval", turned
    own = page.ask("/api/run/text", {"text": "a sentence of my own"})[1]["key"]
    yield "sentence", f"own/{own}", None


def _peak(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.split("VmHWM:")[1].split()[0]) / 2**20


def main() -> None:
    """Make the run if it is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--serve", action="store_true", help="Serve the run that is there, and measure nothing."
    )
    for name, default in (("pairs", 1_000_000), ("features", 65_536), ("width", 64), ("k", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    folder = given.out / "run"
    if given.serve:
        serve_run(folder)
        return
    sizes = {"pairs": given.pairs, "features": given.features, "width": given.width, "k": given.k}
    if not (folder / "features" / "sae" / "scores" / "inputs.json").is_file():
        make_run(folder, **sizes)
    found = {**sizes, **measure(folder, given.features)}
    (given.out / "explore.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
