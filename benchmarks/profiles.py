"""What each step of a normal use spends its time on: compiled code, Python, or waiting.

``make benchmark-profiles`` runs every step three times: on few pairs, so that loops are compiled and libraries
imported; by the clock, while perf, where it is installed, samples which library the processors are in; and under
cProfile, which tells what the main thread is in while processors' seconds pass. What it counts as Python's own is more
than Python's share: it slows Python alone, and operators and loops compiled by Numba count for the function they
stand in.
"""

import argparse
import cProfile
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.studies import make_run

import modalens as ml
from modalens.benchmarks.cases.data import write_photos, write_store
from modalens.benchmarks.machine import circumstances
from modalens.benchmarks.tables import markdown_profiles
from modalens.recipes.stand_ins import random_clip
from modalens.store import EmbeddingStore
from modalens.store.documents import write_document
from modalens.towers.quiet import quiet

KIND = "modalens profiles"
_SAE, _NCL = "sae", "ncl"
_SHOWN = 3
# 499 samples a second: no multiple of what else is periodic.
_RECORD = ("perf", "record", "--quiet", "--event", "cpu-clock", "--freq", "499")
_REPORT = ("perf", "report", "--stdio", "--sort", "dso", "--field-separator", ",")
_READY = 0.5  # seconds until perf samples
_BUILT_IN = "~"  # what cProfile has for the file of compiled functions
_ROOTS = ("site-packages", "src")


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    photos: int
    layers: int
    stored: int
    pairs: int
    steps: int
    draws: int


FULL = Size(photos=96, layers=4, stored=100_000, pairs=1_000, steps=150, draws=20)
TINY = Size(photos=4, layers=1, stored=1_000, pairs=300, steps=5, draws=20)


class Use:
    """A normal use of modalens on synthetic pairs, step by step, in a folder."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.folder, self.size = folder, size
        write_photos(folder / "photos", size.photos)
        with quiet():
            clip = random_clip(folder / "clip", width=384, layers=size.layers, side=224)
        self.vlm = ml.load_vlm(str(clip), device="cpu")
        self.stored = write_store(folder / "stored", size.stored, 512)
        make_run(folder / "run", size.pairs)
        self.run = ml.Run.open(folder / "run")
        self.run.score()

    def steps(self) -> dict[str, Callable[[], Any]]:
        """What is done, in order."""
        run, size = self.run, self.size
        of = {"features": _SAE, "baselines": False}
        return {
            "embed": self._embed,
            "train sae": lambda: run.train("sae", _SAE, n_features=512, k=8, steps=size.steps),
            "train ncl": lambda: run.train("ncl", _NCL, n_features=512, steps=size.steps // 4),
            "encode": lambda: ml.encode_store(run.model(_SAE), self.stored, self.folder / "codes"),
            "score of a store": lambda: ml.modality_dominance(self.stored),
            "score of sparse codes": lambda: ml.modality_dominance(ml.CodeStore.open(self.folder / "codes")),
            "interpret": lambda: run.interpret(image_embedder="own", text_embedder="own", **of),
            "names": lambda: run.name(_SAE),
            "removal": lambda: run.study("removal", draws=size.draws, curve_draws=0, **of),
            "gender": lambda: run.study("gender", **of),
            "steer": lambda: run.study("steer", **of),
            "close-gap": lambda: run.study("close-gap", draws=5, **of),
            "report": run.report,
        }

    def _embed(self) -> EmbeddingStore:
        return ml.embed(ml.load_pairs(f"folder:{self.folder / 'photos'}"), self.vlm, self.folder / "embedded")


@contextmanager
def use(size: Size) -> Iterator[Use]:
    with tempfile.TemporaryDirectory(prefix="modalens-profiles-") as folder:
        yield Use(Path(folder), size)


def waited(work: Callable[[], Any]) -> tuple[float, float, float | None]:
    """What work takes by the clock and of processors, and the share of the time in which no thread ran or could.

    The last is None where the system does not tell.
    """
    watcher = None
    if Path("/proc/self/task").exists():
        command = [sys.executable, "-m", "benchmarks.waiting", str(os.getpid())]
        watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(_READY)
        assert watcher.stdin is not None
        print(file=watcher.stdin, flush=True)
    seconds, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    told = "" if watcher is None else watcher.communicate()[0].strip()
    return seconds, cpu, float(told) if told else None


@contextmanager
def sampling() -> Iterator[list[float]]:
    """Put the share of the processors' samples that are in the interpreter into a list; nothing without perf."""
    shares: list[float] = []
    if shutil.which("perf") is None:
        yield shares
        return
    with tempfile.TemporaryDirectory() as folder:
        written = str(Path(folder) / "perf.data")
        perf = subprocess.Popen([*_RECORD, "--pid", str(os.getpid()), "--output", written])
        time.sleep(_READY)
        try:
            yield shares
        finally:
            perf.send_signal(signal.SIGINT)
            perf.wait()
        told = subprocess.run(
            [*_REPORT, "--input", written], capture_output=True, text=True, check=True
        ).stdout
    listed = [line.split(",", 1) for line in told.splitlines() if line.strip() and not line.startswith("#")]
    inside = [share for share, library in listed if library.strip().startswith(("libpython", "python"))]
    shares.append(sum(float(share.strip(" %")) for share in inside) / 100)


def profiled(work: Callable[[], Any]) -> dict[str, Any]:
    """Shares of the processors' seconds by what the main thread is in: functions of Python, and the costliest ones."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(work)
    profile.create_stats()
    own, inside, total = Counter[str](), 0.0, 0.0
    for function, entry in profile.stats.items():
        own[_named(*function)] += entry[2]
        inside += entry[2] if function[0] != _BUILT_IN else 0.0
        total += entry[2]
    costly = {name: seconds / total for name, seconds in own.most_common(_SHOWN)}
    return {"python_at_most": inside / total, "functions": costly}


def _named(file: str, line: int, name: str) -> str:
    """A function by its module, without folders of this machine."""
    del line
    if file == _BUILT_IN:
        return "other threads" if "acquire" in name else name.strip("<>{}").split(" at 0x")[0]
    parts = Path(file).with_suffix("").parts
    roots = [place for place, part in enumerate(parts) if part in _ROOTS or part.startswith("python3.")]
    return ".".join([*parts[roots[-1] + 1 if roots else -1 :], name])


def profiles(size: Size, warm_up: Size) -> list[dict[str, Any]]:
    """One row a step."""
    with use(warm_up) as warm:
        for step in warm.steps().values():
            step()
    rows = []
    with use(size) as timed, use(size) as watched:
        for (name, step), again in zip(timed.steps().items(), watched.steps().values(), strict=True):
            with sampling() as inside:
                seconds, cpu, waiting = waited(step)
            row = {"step": name, "seconds": seconds, "cpu": cpu, "waiting": waiting}
            rows.append({**row, "interpreter": inside[0] if inside else None, **profiled(again)})
            print(f"{name}: {cpu:.1f} processors' seconds", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--out", type=Path, help="folder for a JSON file of what was measured")
    options.add_argument("--tiny", action="store_true", help="on few pairs, to try it")
    given = options.parse_args()
    found = circumstances("cpu")
    found["rows"] = profiles(TINY if given.tiny else FULL, TINY)
    if given.out is not None:
        write_document(given.out / "profile-cpu.json", KIND, 1, found)
    print(markdown_profiles(found["rows"]))


if __name__ == "__main__":
    main()
