"""A disk that takes no more, with shards as large as people have: NumPy then says how much it wrote, and no number."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import FakePairs, FakeVLM, colour_pairs

resource = pytest.importorskip("resource", reason="needs limits on the size of files")

_PAIRS, _ROWS, _WIDTH = 1100, 512, 2048  # 4 MiB a shard


class WideVLM(FakeVLM):
    """Embeddings of the width of a large model."""

    dim = _WIDTH

    def embed_texts(self, texts):
        return np.tile(super().embed_texts(texts), _WIDTH)[:, :_WIDTH]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system stop every file of this process at so many bytes, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_shard_that_does_not_fit_is_named_and_the_others_kept(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("modalens.pairs.load_pairs", lambda _: FakePairs(colour_pairs(_PAIRS)))
    save = np.save
    saved: list[int] = []

    def save_then_limit(*args, **options):
        saved.append(1)
        with largest_file(3 * 2**20 if len(saved) > 2 else 2**30):
            save(*args, **options)

    def embed(out: str) -> tuple[int, str, str]:
        monkeypatch.setattr("modalens.towers.load_vlm", lambda *_, **__: WideVLM())
        return run("embed", "fake:pairs", "--out", out, "--rows-per-shard", _ROWS)

    monkeypatch.setattr(np, "save", save_then_limit)
    code, _, said = embed("store")
    assert code == 2
    assert re.fullmatch(
        r"modalens: The disk is full or takes no larger file while writing store/img_emb/img_emb_0*1\.npy; "
        r"what was finished is kept, so free some space and run again\.",
        said.strip().splitlines()[-1],
    )
    kept = {path.relative_to("store"): path.read_bytes() for path in Path("store").rglob("*_0*.*")}
    assert len(kept) == 3, "image, text and metadata of the first shard"
    monkeypatch.setattr(np, "save", save)
    assert [embed(out)[0] for out in ("store", "whole")] == [0, 0]
    for path in (path for path in Path("whole").rglob("*") if path.is_file()):
        assert path.read_bytes() == Path("store", path.relative_to("whole")).read_bytes(), path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_that_cannot_be_written_is_a_sentence():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "modalens", "--version"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("modalens: The disk is full; ")
