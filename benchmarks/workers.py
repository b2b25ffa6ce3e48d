"""Time to embed and to score with one worker and with several, and that all of them give the same bytes.

Run ``python benchmarks/workers.py``. Each engine starts its workers and warms them up outside the clock; the ratios
compare runs of one process on the same data. More workers than cores bring nothing.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from modalens import load_pairs, load_vlm
from modalens.benchmarks.cases.data import write_photos, write_store
from modalens.engine.engines import open_engine
from modalens.engine.workers import Engine
from modalens.runs import ScoreConfig, score_store
from modalens.runs.embedding import embed_with
from modalens.runs.shards import EmbedConfig

_PART = 65_536


def contents(folder: Path) -> str:
    """One checksum over all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def compare(
    work: Callable[[Engine, Path], None], warm_up: Callable[[Engine, Path], None], folder: Path
) -> None:
    """Do the work with every engine; print times, ratios to one core, and whether the bytes agree."""
    cores = torch.get_num_threads()
    plan = [
        ("local", 1, 1),
        ("local", 1, cores),
        ("local", 2, 1),
        ("ray", 1, 1),
        ("ray", 2, 1),
        ("ray", 4, 1),
    ]
    first: tuple[float, str] | None = None
    for name, workers, threads in plan:
        torch.set_num_threads(threads)
        out = folder / f"{name}-{workers}-{threads}"
        with open_engine(name, workers) as engine:
            warm_up(engine, folder / f"warm-{out.name}")
            started = time.perf_counter()
            work(engine, out)
            taken = time.perf_counter() - started
        made = contents(out)
        first = first or (taken, made)
        what = f"{name}, {workers} worker{'s' * (workers > 1)}" + f" of {threads} threads" * (threads > 1)
        same = "same bytes" if made == first[1] else "OTHER BYTES"
        print(f"  {what:<32} {taken:7.1f} s   {first[0] / taken:5.2f} times as fast   {same}", flush=True)
    torch.set_num_threads(cores)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--photos", type=int, default=800)
    options.add_argument("--vlm", default="demo")
    options.add_argument("--parts", type=int, default=6, help=f"parts of {_PART:,} pairs to score")
    options.add_argument("--width", type=int, default=256)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        vlm = load_vlm(given.vlm, device="cpu")
        for name, count in (("photos", given.photos), ("few", 16)):
            write_photos(folder / name, count)

        def embed_folder(source: str, rows_per_shard: int) -> Callable[[Engine, Path], None]:
            pairs = load_pairs(f"folder:{folder / source}")
            config = EmbedConfig(rows_per_shard=rows_per_shard)
            return lambda engine, out: void(embed_with(engine, pairs, vlm, out, config, device="cpu"))

        print(f"Embed {given.photos:,} photos with {given.vlm}")
        compare(embed_folder("photos", max(given.photos // 16, 1)), embed_folder("few", 2), folder / "stores")
        store = write_store(folder / "store", given.parts * _PART, given.width)
        few = write_store(folder / "small", 1_000, 8)
        config = ScoreConfig(resamples=200)
        print(f"Score {len(store):,} pairs of {given.width} features")
        compare(
            lambda engine, out: score_store(store, config, engine).save(out),
            lambda engine, out: score_store(few, config, engine).save(out),
            folder / "scores",
        )


def void(_: object) -> None:
    """Leave a result alone."""


if __name__ == "__main__":
    main()
