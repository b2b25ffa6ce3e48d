import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from modalens.demo.cache import Entry, cache_folder, cached
from modalens.errors import ModalensError

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODALENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def never() -> Entry:
    raise AssertionError("built although it was kept")


def test_an_entry_is_built_once(folder: Path) -> None:
    built = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5)}, {"recipe": {"lr": 0.003}}
    assert cache_folder() == folder
    for build in (lambda: built, never):
        tensors, description = cached("demo/x.safetensors", build)
        assert all(torch.equal(tensors[name], built[0][name]) for name in built[0])
        assert description == built[1]
    assert {path.suffix for path in (folder / "demo").iterdir()} <= {".safetensors", ".lock"}


@pytest.mark.parametrize("damage", [b"", b"nonsense", "half"])
def test_a_damaged_entry_is_made_anew(folder: Path, damage: bytes | str) -> None:
    path = folder / "x.safetensors"
    cached("x.safetensors", lambda: ({"a": torch.ones(100)}, {}))
    path.write_bytes(path.read_bytes()[:200] if isinstance(damage, str) else damage)
    tensors, _ = cached("x.safetensors", lambda: ({"a": torch.zeros(100)}, {}))
    assert tensors["a"].sum() == 0
    assert cached("x.safetensors", never)[0]["a"].sum() == 0


def test_a_failed_build_leaves_nothing(folder: Path) -> None:
    def fail() -> Entry:
        raise ModalensError("no")

    with pytest.raises(ModalensError, match=r"^no$"):
        cached("x.safetensors", fail)
    assert not (folder / "x.safetensors").exists()
    cached("x.safetensors", lambda: ({"a": torch.ones(1)}, {}))


def test_a_kill_while_writing_leaves_no_entry(folder: Path, run_python: RunPython) -> None:
    killed = run_python(
        """
        import os, signal
        from pathlib import Path
        import torch
        from modalens.demo import cache

        def write_half(tensors, path, metadata):
            Path(path).write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)

        cache.save_file = write_half
        cache.cached("x.safetensors", lambda: ({"a": torch.ones(1)}, {}))
        """
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (folder / "x.safetensors.partial").exists(), "killed too early to show anything"
    assert not (folder / "x.safetensors").exists()
    assert cached("x.safetensors", lambda: ({"a": torch.full((1,), 2.0)}, {}))[0]["a"].item() == 2
    assert not (folder / "x.safetensors.partial").exists()


def test_two_processes_build_once(run_python: RunPython) -> None:
    code = """
        import time
        import torch
        from modalens.demo.cache import cached

        def build():
            print("built")
            time.sleep(3)
            return {"a": torch.ones(1)}, {}

        assert cached("x.safetensors", build)[0]["a"].item() == 1
        """
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run_python, [code, code]))
    assert [process.returncode for process in found] == [0, 0]
    assert sorted(process.stdout for process in found) == ["", "built\n"]


def test_an_unwritable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MODALENS_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModalensError, match="point MODALENS_CACHE at another folder"):
        cached("demo/x.safetensors", never)
