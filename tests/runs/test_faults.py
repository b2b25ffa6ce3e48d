"""Faults that must lose nothing: a full disk, a damaged source, two processes in one folder, a clock that jumps.

Each command runs as a process of its own. After each fault the command is run again, and every file it made must
equal that of a run without the fault.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFile

from modalens.features import SAEConfig, TrainConfig, train
from modalens.pairs import load_pairs, remote
from modalens.progress import progress_bar
from modalens.runs import embed
from tests.fakes import FakePairs, FakeVLM, colour_pairs
from tests.torture.jobs import commands, prepare
from tests.torture.rounds import contents, differences, undisturbed
from tests.torture.server import Outcome, Server, Strike, beside, let_go

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork and mounts"),
]

_LEFT_OUT = ("train ncl", "study removal")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as forks:
        yield forks


@pytest.fixture(scope="module")
def rival() -> Iterator[Server]:
    with Server(hash_seed=1) as forks:
        yield forks


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def jobs(source: Path) -> dict[str, list[object]]:
    return {name: words for name, words in commands(source, steps=600).items() if name not in _LEFT_OUT}


@pytest.fixture(scope="module")
def stages(server: Server, jobs: dict[str, list[object]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of a run without faults: ``before/NAME`` and ``after/NAME`` of each command."""
    folder = tmp_path_factory.mktemp("stages")
    (folder / "before").mkdir()
    last = None
    for name, _ in undisturbed(server, jobs, folder / "now"):
        if last is None:
            (folder / "before" / name).mkdir()
        else:
            shutil.copytree(folder / "after" / last, folder / "before" / name)
        shutil.copytree(folder / "now", folder / "after" / name)
        last = name
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def refusal(outcome: Outcome) -> str:
    """The one sentence with which a command refused."""
    last = outcome.said.strip().splitlines()[-1]
    assert outcome.code == 2, outcome.said
    assert last.startswith("modalens: ")
    assert "Traceback" not in outcome.said
    return last


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# Share of the space it needs that the command finds.
@pytest.mark.parametrize(
    ("name", "share"),
    [
        *(("embed", share) for share in (0.0, 0.3, 0.8)),
        *(("train sae", share) for share in (0.3, 0.8)),
        *((name, 0.5) for name in ("score", "interpret", "study stability", "run")),
        ("report", 0.5),
    ],
)
def test_a_disk_that_fills_loses_nothing(server, jobs, stages, disk, name, share):
    shutil.copytree(stages / "before" / name, disk, dirs_exist_ok=True)
    needed = size(stages / "after" / name) - size(stages / "before" / name)
    filler = disk / "filler"
    filler.write_bytes(b"\0" * (shutil.disk_usage(disk).free - int(needed * share) // 4096 * 4096))
    sentence = refusal(server.run(jobs[name], disk))
    assert re.search(r"disk is full while writing .*(run|recipe)/", sentence)
    filler.unlink()
    again = server.run(jobs[name], disk)
    assert again.code == 0, again.said
    assert differences(contents(stages / "after" / name), contents(disk)) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [("embed", 12), ("train sae", 4), ("score", 6), ("interpret", 5), ("study stability", 5), ("run", 20)],
)
def test_the_second_of_two_processes_refuses_and_the_first_is_not_hurt(
    server, rival, jobs, stages, tmp_path, name, change
):
    place = tmp_path / "work"
    shutil.copytree(stages / "before" / name, place)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.run, jobs[name], place, Strike(at_change=change, wait=True))
        try:
            while not beside(place, "waits").exists():
                assert not first.done(), first.result().said
                time.sleep(0.01)
            second = rival.run(jobs[name], place)
        finally:
            let_go(place)
        assert re.search(r"Another process is .*(run/|recipe).*; wait for it to end", refusal(second))
        assert first.result().code == 0, first.result().said
    assert differences(contents(stages / "after" / name), contents(place)) == []


def test_a_kill_at_any_of_the_first_changes(server, jobs, stages, tmp_path):
    """Before there is a whole manifest, a folder must not look like another's."""
    for change in range(1, 6):
        place = tmp_path / str(change)
        place.mkdir()
        assert server.run(jobs["embed"], place, Strike(at_change=change, cut=0.5)).killed
        again = server.run(jobs["embed"], place)
        assert again.code == 0, again.said
        assert differences(contents(stages / "after" / "embed"), contents(place)) == []


def write_shards(folder: Path, source: Path) -> list[Path]:
    """Three WebDataset shards of ten pictures; one caption is missing, one picture is no picture."""
    shards = []
    for number in range(3):
        shards.append(folder / f"s-{number}.tar")
        with tarfile.open(shards[-1], "w") as archive:
            for key in range(10):
                image = (source / f"{10 * number + key}.png").read_bytes()
                parts = {"png": image if key != 5 else image[:200], "txt": f"cat {key}".encode()}
                if (number, key) == (1, 7):
                    del parts["txt"]
                for suffix, content in parts.items():
                    member = tarfile.TarInfo(f"{key}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return shards


def embed_shards(folder: Path, source: Path) -> list[object]:
    words = ("embed", f"wds:{folder}/s-{{0..2}}.tar", "--vlm", source / "clip", "--out", "run/embeddings")
    return [*words, "--rows-per-shard", 4, "--batch-size", 4]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def spoil_a_header(content: bytes) -> bytes:
    """The name of the file in the middle, without which its checksum is wrong."""
    place = content.index(b"4.txt\0")
    return content[:place] + b"\xff" * 20 + content[place + 20 :]


@pytest.mark.parametrize("damage", [cut, spoil_a_header])
def test_a_damaged_shard_is_named_and_a_whole_one_taken_up(server, source, tmp_path, damage):
    shards = write_shards(tmp_path, source)
    words = embed_shards(tmp_path, source)
    places = tmp_path / "whole", tmp_path / "damaged"
    for place in places:
        place.mkdir()
    assert server.run(words, places[0]).code == 0
    whole = shards[1].read_bytes()
    shards[1].write_bytes(damage(whole))
    sentence = refusal(server.run(words, places[1]))
    assert re.search(r"shard '.*/s-1\.tar' is damaged or cut short .* at byte \d+ ", sentence)
    embedded = list((places[1] / "run/embeddings/img_emb").iterdir())
    assert len(embedded) >= 3, "what came before the damage is kept"
    shards[1].write_bytes(whole)
    assert server.run(words, places[1]).code == 0
    assert differences(contents(places[0]), contents(places[1])) == []


def test_what_is_skipped_is_listed(server, source, tmp_path):
    write_shards(tmp_path, source)
    (tmp_path / "work").mkdir()
    outcome = server.run([*embed_shards(tmp_path, source), "--json"], tmp_path / "work")
    manifest = json.loads((tmp_path / "work/run/embeddings/manifest.json").read_text())
    skipped = {item["id"]: item["reason"] for shard in manifest["shards"] for item in shard["skipped"]}
    # Picture 20 of the source is broken, and so is the sixth of every shard.
    assert set(skipped) == {"s-0/5", "s-1/5", "s-1/7", "s-2/0", "s-2/5"}
    assert "no caption" in skipped["s-1/7"]
    assert all("cannot be decoded" in skipped[name] for name in set(skipped) - {"s-1/7"}), skipped
    assert manifest["totals"] == {"rows": 25, "skipped": 5}
    assert outcome.code == 0
    assert all(name in outcome.said for name in skipped)


def test_reads_that_fail_twice_leave_no_trace(source, tmp_path, monkeypatch):
    """Far shards whose reads fail in pairs and then work give the bytes that they give untroubled."""
    far = fsspec.filesystem("memory")
    for shard in write_shards(tmp_path, source):
        far.pipe(f"/faults/{shard.name}", shard.read_bytes())
    monkeypatch.setattr(remote.time, "sleep", lambda seconds: None)  # type: ignore[attr-defined]
    whole = load_pairs("wds:memory://faults/s-{0..2}.tar")
    embed(whole, FakeVLM(), tmp_path / "whole", rows_per_shard=4)
    assert whole.retries == 0  # type: ignore[attr-defined]
    read, reads = MemoryFile.read, count(1)

    def troubled(file: MemoryFile, *size: int) -> bytes:
        if next(reads) % 3:
            raise OSError("connection reset")
        content: bytes = read(file, *size)
        return content

    monkeypatch.setattr(MemoryFile, "read", troubled)
    pairs = load_pairs("wds:memory://faults/s-{0..2}.tar")
    embed(pairs, FakeVLM(), tmp_path / "troubled", rows_per_shard=4)
    far.rm("/faults", recursive=True)
    assert pairs.retries >= 6  # type: ignore[attr-defined]
    assert differences(contents(tmp_path / "whole"), contents(tmp_path / "troubled")) == []


_A_YEAR = 365 * 86400


@pytest.mark.parametrize(("name", "change"), [("embed", 90), ("train sae", 25), ("interpret", 100)])
def test_times_of_files_mean_nothing(server, jobs, stages, tmp_path, name, change):
    """Half done, then files are of the future and of the past in turn."""
    place = tmp_path / "work"
    shutil.copytree(stages / "before" / name, place)
    assert server.run(jobs[name], place, Strike(at_change=change)).killed
    for number, path in enumerate(sorted(place.rglob("*"))):
        moment = time.time() + (-1) ** number * 40 * _A_YEAR
        os.utime(path, times=(moment, moment))
    again = server.run(jobs[name], place)
    assert again.code == 0, again.said
    assert differences(contents(stages / "after" / name), contents(place)) == []


def test_a_clock_that_runs_backwards_changes_nothing(tmp_path, monkeypatch, caplog):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2, 64, 6)).astype(np.float32)

    def work(folder: Path) -> None:
        embed(FakePairs(colour_pairs(20)), FakeVLM(), folder / "store", rows_per_shard=4)
        settings = TrainConfig(steps=6, batch_size=16, log_every=2, checkpoint_every=3)
        train([SAEConfig(6, 8, 2)], (data[0], data[1]), settings, out=folder / "sae")

    work(tmp_path / "plain")
    now = [time.time()]

    def backwards() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    monkeypatch.setattr("modalens.progress._WORTH_TELLING", 0.0)
    with caplog.at_level("INFO", "modalens"), progress_bar("Waiting", 2) as advance:
        advance(2)
    assert re.search(r"Waiting: 2 done in \d+\.\d s", caplog.text)
    work(tmp_path / "backwards")
    assert differences(contents(tmp_path / "plain"), contents(tmp_path / "backwards")) == []
